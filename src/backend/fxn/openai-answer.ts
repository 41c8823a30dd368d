/** The objects that OpenAI's clients read, for both endpoints, whole and in chunks. */
import type { FinishReason, GenerationReport } from './generation.ts';
import { chatLogprobs, completionLogprobs, type TokenBytes } from './openai-logprobs.ts';
import type { TextToken } from './token-alignment.ts';

/** What one endpoint's answers look like; the way they are made and sent is the same. */
export interface AnswerShape {
  /** In the order of their indices. */
  whole(choices: readonly WholeChoice[]): Record<string, unknown>;
  /** The chunk before any text, if the endpoint has one. */
  first(index: number): Record<string, unknown> | null;
  delta(index: number, text: ChoiceText): Record<string, unknown>;
  last(index: number, reason: FinishReason): Record<string, unknown>;
  /** A chunk without choices, for usage. */
  bare(): Record<string, unknown>;
}

export interface ChoiceText {
  readonly text: string;
  /** Null: no log probabilities are asked for. */
  readonly tokens: readonly TextToken[] | null;
}

export interface WholeChoice extends ChoiceText {
  readonly reason: FinishReason;
}

export interface AnswerHead {
  /** Unique, without the endpoint's prefix. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export function chatAnswer({ id, created, model }: AnswerHead, bytesOf: TokenBytes): AnswerShape {
  const head = (object: string) => ({ id: `chatcmpl-${id}`, object, created, model });
  const logprobs = ({ tokens }: ChoiceText) => (tokens === null ? null : chatLogprobs(tokens, bytesOf));
  const chunk = (index: number, delta: object, reason: FinishReason | null, text: ChoiceText) => ({
    ...head('chat.completion.chunk'),
    choices: [{ index, delta, logprobs: logprobs(text), finish_reason: reason }],
  });
  return {
    whole: (choices) => ({
      ...head('chat.completion'),
      choices: choices.map((choice, index) => ({
        index,
        message: { role: 'assistant', content: choice.text, refusal: null },
        logprobs: logprobs(choice),
        finish_reason: choice.reason,
      })),
    }),
    first: (index) => chunk(index, { role: 'assistant', content: '', refusal: null }, null, NO_TEXT),
    delta: (index, text) => chunk(index, { content: text.text }, null, text),
    last: (index, reason) => chunk(index, {}, reason, NO_TEXT),
    bare: () => ({ ...head('chat.completion.chunk'), choices: [] }),
  };
}

export function completionAnswer({ id, created, model }: AnswerHead, bytesOf: TokenBytes): AnswerShape {
  const head = { id: `cmpl-${id}`, object: 'text_completion', created, model };
  const choice = (index: number, { text, tokens }: ChoiceText, reason: FinishReason | null) => ({
    text,
    index,
    logprobs: tokens === null ? null : completionLogprobs(tokens, bytesOf),
    finish_reason: reason,
  });
  return {
    whole: (choices) => ({ ...head, choices: choices.map((one, index) => choice(index, one, one.reason)) }),
    first: () => null,
    delta: (index, text) => ({ ...head, choices: [choice(index, text, null)] }),
    last: (index, reason) => ({ ...head, choices: [choice(index, NO_TEXT, reason)] }),
    bare: () => ({ ...head, choices: [] }),
  };
}

const NO_TEXT: ChoiceText = { text: '', tokens: null };

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export function usageOf({ promptTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** Shoal's own field on an answer, or on a stream's chunks with a finish reason: who served it, how fast. */
export function shoalOf(report: GenerationReport) {
  return {
    stages: report.stages,
    restarts: report.restarts,
    losses: report.losses,
    crossings: report.crossings,
    time_to_first_token_ms: rounded(report.timeToFirstTokenMs),
    tokens_per_second: rounded(report.tokensPerSecond),
  };
}

const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
