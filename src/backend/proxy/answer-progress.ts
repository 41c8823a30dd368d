/** What passes of an answer, as far as it must be known: how it ended, what it used, and whether it is what was asked for. */
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import type { AnswerReport } from '../backend.ts';
import type { Clock } from '../clock.ts';
import { EchoedPrompt, promptsToEcho } from './echoed-prompt.ts';

/** The parameters whose neglect an answer shows. */
export interface Asked {
  readonly model: string;
  readonly choices: number;
  readonly logprobs: boolean;
  /** The prompts that each answer is to begin with; the choices of one come together. */
  readonly echoed?: readonly (string | null)[] | null;
}

type Json = Record<string, unknown>;

/** @param path tells a chat's `logprobs: true` from a completion's number, 0 included */
export function askedOf(body: Json, path: string, model: string): Asked {
  const n = Number.isInteger(body.n) ? Math.max(1, body.n as number) : 1;
  const isChat = path.startsWith('/chat');
  return {
    model,
    choices: n * (isChat ? 1 : promptsOf(body.prompt)),
    logprobs: isChat ? body.logprobs === true : Number.isInteger(body.logprobs),
    echoed: isChat ? null : promptsToEcho(body),
  };
}

/** A list of texts, or of lists of token ids, is so many prompts; a list of ids is one. */
function promptsOf(prompt: unknown): number {
  if (!Array.isArray(prompt) || prompt.length === 0) return 1;
  return typeof prompt[0] === 'number' ? 1 : prompt.length;
}

export class AnswerProgress {
  readonly #asked: Asked;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #onAnswered: ((report: AnswerReport) => void) | undefined;
  readonly #seen = new Set<number>();
  readonly #finished = new Set<number>();
  readonly #withText = new Set<number>();
  readonly #withLogprobs = new Set<number>();
  readonly #echoes = new Map<number, EchoedPrompt>();
  #reason = '';
  #promptTokens: number | null = null;
  #completionTokens: number | null = null;
  #firstTokenAt: number | null = null;
  #isReported = false;

  constructor(asked: Asked, clock: Clock, onAnswered: ((report: AnswerReport) => void) | undefined) {
    this.#asked = asked;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#onAnswered = onAnswered;
  }

  /** Whether every choice that began has told its finish reason. */
  get isFinished(): boolean {
    return this.#finished.size > 0 && this.#finished.size === this.#seen.size;
  }

  /**
   * A whole answer, or one event of a stream.
   *
   * @throws UNSUPPORTED_PARAMETER `logprobs` when a choice ends without those that were asked for, `echo` when it does not
   *   begin with its prompt
   */
  take(answer: Json): void {
    this.#takeUsage(answer.usage);
    if (!Array.isArray(answer.choices)) return;
    for (const choice of answer.choices) if (isObject(choice)) this.#takeChoice(choice);
  }

  /** @throws UNSUPPORTED_PARAMETER `n` when choices are missing at the end */
  checkChoices(): void {
    const { choices } = this.#asked;
    if (choices > 1 && this.#seen.size < choices) {
      throw unsupported(
        'n',
        `the backend answered with ${this.#seen.size} of the ${choices} choices asked for: it does not support n; ask for one choice a request`,
      );
    }
  }

  /** For whole answers there is no time of a first token. */
  withoutFirstToken(): void {
    this.#firstTokenAt = null;
  }

  /** Reports once. @param failed the outcome where the answer did not end by itself */
  report(failed?: 'error' | 'aborted'): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const reason = this.#reason === 'stop' || this.#reason === 'length' ? this.#reason : 'other';
    this.#onAnswered?.({
      model: this.#asked.model,
      outcome: failed ?? reason,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      timeToFirstTokenMs: this.#firstTokenAt === null ? null : this.#firstTokenAt - this.#startedAt,
      durationMs: this.#clock.now() - this.#startedAt,
    });
  }

  #takeUsage(usage: unknown): void {
    if (!isObject(usage)) return;
    this.#promptTokens = count(usage.prompt_tokens) ?? this.#promptTokens;
    this.#completionTokens = count(usage.completion_tokens) ?? this.#completionTokens;
  }

  #takeChoice(choice: Json): void {
    const index = typeof choice.index === 'number' ? choice.index : 0;
    this.#seen.add(index);
    if (isObject(choice.logprobs)) this.#withLogprobs.add(index);
    const { hasText, hasTokens } = saidBy(choice);
    if (hasText) this.#withText.add(index);
    if (hasTokens) this.#firstTokenAt ??= this.#clock.now();
    this.#checkEcho(index, choice);
    // Some write an empty one in every chunk.
    if (!isText(choice.finish_reason)) return;
    this.#finished.add(index);
    this.#reason = choice.finish_reason;
    if (this.#asked.logprobs && this.#withText.has(index) && !this.#withLogprobs.has(index)) {
      throw unsupported(
        'logprobs',
        'the backend answered without the log probabilities asked for: it does not support logprobs, or not with this model; leave it out',
      );
    }
  }

  #checkEcho(index: number, choice: Json): void {
    const { echoed, choices } = this.#asked;
    if (!echoed) return;
    const prompt = echoed[Math.floor((index * echoed.length) / choices)];
    if (typeof prompt !== 'string') return;
    const echo = this.#echoes.get(index) ?? new EchoedPrompt(prompt);
    this.#echoes.set(index, echo);
    if (echo.take(isText(choice.text) ? choice.text : '', isText(choice.finish_reason))) return;
    throw unsupported(
      'echo',
      'the backend answered without the prompt that was to be repeated: it does not support echo; put the prompt before the text yourself',
    );
  }
}

/** Text has log probabilities; calls of tools and reasoning have tokens, but servers differ in what they tell of them. */
function saidBy(choice: Json): { hasText: boolean; hasTokens: boolean } {
  const said = isObject(choice.delta) ? choice.delta : isObject(choice.message) ? choice.message : choice;
  const hasText = isText(said.content) || isText(said.text);
  return {
    hasText,
    hasTokens:
      hasText ||
      isText(said.reasoning_content) ||
      isText(said.reasoning) ||
      isText(said.refusal) ||
      (Array.isArray(said.tool_calls) && said.tool_calls.length > 0),
  };
}

const unsupported = (param: string, message: string) =>
  new ShoalError('UNSUPPORTED_PARAMETER', message, { param });
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const count = (value: unknown) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
