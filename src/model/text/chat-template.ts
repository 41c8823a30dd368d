import { ShoalError } from '../../config/errors.ts';
import { MAX_TEMPLATE_CHARS } from '../../config/limits.ts';
import { TemplateError, TemplateRefusal } from './jinja/errors.ts';
import { Template } from './jinja/template.ts';
import { strftime } from './strftime.ts';

export interface TemplateMessage {
  readonly role: string;
  readonly content: unknown;
}

export interface RenderOptions {
  /** Ends where the assistant's answer begins. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Further names that the template may read (`enable_thinking`), values of JSON; those that it always has come first. */
  readonly variables?: Readonly<Record<string, unknown>>;
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
  /** Others by the names of tokenizer_config.json, such as `pad_token`. */
  readonly specialTokens?: Readonly<Record<string, string>>;
  /** The clock behind `strftime_now`; local time. */
  readonly now?: () => Date;
}

/**
 * Reads a Hugging Face chat template. It sees what `transformers` gives it (messages, tools, documents, add_generation_prompt, the special
 * tokens, raise_exception, strftime_now, range …) and nothing else; the interpreter has no way out to the platform.
 *
 * @throws CHAT_TEMPLATE_MISSING without a source; TOKENIZER_INVALID when it is too long, not a template, or one that only jinja2 can render
 */
export function loadChatTemplate(options: ChatTemplateOptions): ChatTemplate {
  const { source, bosToken, eosToken, specialTokens, now = () => new Date() } = options;
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
      // Named tokens that there are none of are left out: a template asks `bos_token is defined`.
      const names = {
        ...variables,
        ...specialTokens,
        bos_token: bosToken,
        eos_token: eosToken,
        messages: messages.map(asTemplatesSee),
        // transformers always passes both: a template that asks `is not none` must see none, not an undefined name.
        tools: null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
      };
      try {
        return template.render(names, { strftimeNow: (format) => strftime(now(), format) });
      } catch (cause) {
        throw refused(cause);
      }
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
    return new Template(source);
  } catch (cause) {
    throw new ShoalError(
      'TOKENIZER_INVALID',
      `the model's chat template cannot be read: ${reasonOf(cause)}; put another into chat_template.jinja`,
      { cause, param: 'chat_template' },
    );
  }
}

function refused(cause: unknown): ShoalError {
  const what = cause instanceof TemplateRefusal ? 'refuses these messages' : 'cannot render these messages';
  return new ShoalError('INVALID_REQUEST', `the model's chat template ${what}: ${reasonOf(cause)}`, {
    cause,
    param: 'messages',
  });
}

function reasonOf(cause: unknown): string {
  if (cause instanceof TemplateError || cause instanceof Error) return cause.message;
  return String(cause);
}

/** The names under which clients send reasoning; templates read the first, some the second. */
const REASONING_FIELDS = ['reasoning_content', 'thinking', 'reasoning'];

/** As transformers prepares a message: what is none is left out, and reasoning stands under both names that templates read. */
function asTemplatesSee(message: TemplateMessage): Record<string, unknown> {
  const given = Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
  );
  const reasoning = REASONING_FIELDS.map((field) => given[field]).find((value) => value !== undefined);
  if (reasoning === undefined) return given;
  return { thinking: reasoning, ...given, reasoning_content: reasoning };
}
