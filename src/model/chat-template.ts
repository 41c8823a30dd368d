import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { ShoalError } from '../config/errors.ts';
import { MAX_RENDERED_CHARS, MAX_TEMPLATE_CHARS, MAX_TEMPLATE_RANGE } from '../config/limits.ts';
import { strftime } from './strftime.ts';

export interface TemplateMessage {
  readonly role: string;
  readonly content: unknown;
}

export interface RenderOptions {
  /** Ends where the assistant's answer begins. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Further names that the template may read (`enable_thinking`); those that it always has come first. */
  readonly variables?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface ChatTemplate {
  /**
   * The conversation as the model saw it in training. Tokenize it without adding special tokens: the template writes its own BOS.
   * @throws INVALID_REQUEST when the template refuses the conversation (`raise_exception`) or cannot render it
   */
  render(messages: readonly TemplateMessage[], options?: RenderOptions): string;
}

export interface ChatTemplateOptions {
  /** The template's source; undefined when the model came without one. */
  readonly source: string | undefined;
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
  /** The clock behind `strftime_now`; local time. */
  readonly now?: () => Date;
}

const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

/** Thrown by the template itself: its message is meant for whoever wrote the conversation. */
class TemplateRefusal extends Error {}

/**
 * Reads a Hugging Face chat template. It sees what `transformers` gives it (messages, add_generation_prompt, bos_token, eos_token,
 * raise_exception, strftime_now, range) and nothing else; the interpreter has no way out to the platform.
 *
 * @throws CHAT_TEMPLATE_MISSING without a source; TOKENIZER_INVALID when it is too long or not a template
 */
export function loadChatTemplate(options: ChatTemplateOptions): ChatTemplate {
  const { source, bosToken = '', eosToken = '', now = () => new Date() } = options;
  if (source === undefined) {
    throw new ShoalError(
      'CHAT_TEMPLATE_MISSING',
      'this model came without a chat template; send raw text to /v1/completions, or use --raw on the command line',
      { param: 'messages' },
    );
  }
  const template = compile(source);
  return {
    render(messages, { addGenerationPrompt = true, variables = {} } = {}) {
      let text: string;
      try {
        const environment = new Environment();
        for (const [name, value] of Object.entries({
          ...variables,
          ...CONSTANTS,
          messages,
          // `transformers` always passes both: a template that asks `is not none` must see none, not an undefined name.
          tools: null,
          documents: null,
          add_generation_prompt: addGenerationPrompt,
          bos_token: bosToken,
          eos_token: eosToken,
          raise_exception: (message: unknown) => {
            throw new TemplateRefusal(String(message));
          },
          strftime_now: (format: unknown) => strftime(now(), String(format)),
          range: boundedRange,
        })) {
          environment.set(name, value);
        }
        // Not Template.render: it brings an unbounded range and a clock of its own, and refuses others in their place.
        text = String(new Interpreter(environment).run(template.parsed).value);
      } catch (cause) {
        throw refused(cause);
      }
      if (text.length > MAX_RENDERED_CHARS) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `the conversation renders to ${text.length} characters, at most ${MAX_RENDERED_CHARS} are taken; send less`,
          { param: 'messages' },
        );
      }
      return text;
    },
  };
}

function compile(source: string): Template {
  if (source.length > MAX_TEMPLATE_CHARS) {
    throw new ShoalError(
      'TOKENIZER_INVALID',
      `the chat template has ${source.length} characters, at most ${MAX_TEMPLATE_CHARS} are read`,
      { param: 'chat_template' },
    );
  }
  try {
    return new Template(withLineFeeds(source));
  } catch (cause) {
    throw new ShoalError(
      'TOKENIZER_INVALID',
      `the model's chat template cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause, param: 'chat_template' },
    );
  }
}

/** As jinja2 reads a template: its trimming of lines knows `\n` only. */
function withLineFeeds(source: string): string {
  return source.replaceAll(/\r\n?/g, '\n');
}

function refused(cause: unknown): ShoalError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message =
    cause instanceof TemplateRefusal
      ? `the model's chat template refuses these messages: ${reason}`
      : `the model's chat template cannot render these messages: ${reason}`;
  return new ShoalError('INVALID_REQUEST', message, { cause, param: 'messages' });
}

/** Python's range, which the interpreter builds as a list: a template must not ask for one that fills the memory. */
function boundedRange(first: unknown, second?: unknown, third?: unknown): number[] {
  const numbers = [first, second, third].filter((value) => value !== undefined && value !== null).map(Number);
  const [start, stop, step] =
    numbers.length === 1 ? [0, numbers[0] ?? 0, 1] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 1];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!Number.isInteger(length) || length > MAX_TEMPLATE_RANGE) {
    throw new Error(
      `range(${numbers.join(', ')}) has ${length} numbers, at most ${MAX_TEMPLATE_RANGE} are made`,
    );
  }
  return Array.from({ length }, (_, index) => start + index * step);
}
