/** Ollama's pieces as the objects that OpenAI's clients read, for both endpoints. */
import { exactJson } from '../../config/exact-json.ts';
import type { OllamaLogprob, Piece } from './api.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls';
export type Json = Record<string, unknown>;

export interface AnswerHead {
  /** Unique, without the endpoint's prefix. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  /** The client's name for it. */
  readonly model: string;
}

/** One choice of an answer, as it grows. */
export interface ChoiceForm {
  /** What `piece` adds, as chunks of a stream; before the first, the chunk that opens the choice. */
  take(piece: Piece): Json[];
  last(reason: FinishReason): Json;
  /** All that was taken, as an element of `choices`. */
  whole(reason: FinishReason): Json;
  readonly hasToolCalls: boolean;
}

export interface AnswerForm {
  choice(index: number): ChoiceForm;
  /** A whole answer's head, or with no choices a stream's chunk for usage. */
  answer(choices: readonly Json[], isChunk: boolean): Json;
}

export function chatForm({ id, created, model }: AnswerHead, withLogprobs: boolean): AnswerForm {
  const head = (object: string) => ({ id: `chatcmpl-${id}`, object, created, model });
  return {
    answer: (choices, isChunk) => ({
      ...head(isChunk ? 'chat.completion.chunk' : 'chat.completion'),
      choices,
    }),
    choice(index) {
      const text: string[] = [];
      const thinking: string[] = [];
      const calls: Json[] = [];
      const logprobs: Json[] = [];
      let isOpen = false;
      const chunk = (delta: Json, reason: FinishReason | null, tokens: readonly Json[] = []) => ({
        ...head('chat.completion.chunk'),
        choices: [
          {
            index,
            delta,
            logprobs: tokens.length === 0 ? null : { content: tokens, refusal: null },
            finish_reason: reason,
          },
        ],
      });
      return {
        take(piece) {
          const chunks: Json[] = [];
          if (!isOpen) chunks.push(chunk({ role: 'assistant', content: '', refusal: null }, null));
          isOpen = true;
          if (piece.thinking !== '') {
            thinking.push(piece.thinking);
            // Named as vLLM, OpenRouter and Ollama's own /v1 name it; `reasoning_content` was DeepSeek's and vLLM's older word.
            chunks.push(chunk({ reasoning: piece.thinking }, null));
          }
          // Log probabilities are told of the text's tokens; those of a thought alone are not of it.
          const tokens = piece.text === '' && piece.thinking !== '' ? [] : piece.logprobs.map(chatLogprob);
          if (piece.text !== '' || tokens.length > 0) {
            text.push(piece.text);
            logprobs.push(...tokens);
            chunks.push(chunk({ content: piece.text }, null, tokens));
          }
          const added = piece.toolCalls.map(({ id: callId, function: { name, arguments: given } }, at) => ({
            index: calls.length + at,
            id: callId ?? `call_${id.slice(0, 16)}_${index}_${calls.length + at}`,
            type: 'function',
            function: { name, arguments: exactJson(given ?? {}) },
          }));
          if (added.length > 0) {
            calls.push(...added.map(({ index: _, ...call }) => call));
            chunks.push(chunk({ tool_calls: added }, null));
          }
          return chunks;
        },
        last: (reason) => chunk({}, reason),
        whole: (reason) => ({
          index,
          message: {
            role: 'assistant',
            content: calls.length > 0 && text.length === 0 ? null : text.join(''),
            refusal: null,
            ...(thinking.length > 0 && { reasoning: thinking.join('') }),
            ...(calls.length > 0 && { tool_calls: calls }),
          },
          logprobs: withLogprobs ? { content: logprobs, refusal: null } : null,
          finish_reason: reason,
        }),
        get hasToolCalls() {
          return calls.length > 0;
        },
      };
    },
  };
}

export function completionForm({ id, created, model }: AnswerHead, withLogprobs: boolean): AnswerForm {
  const answer = (choices: readonly Json[]) => ({
    id: `cmpl-${id}`,
    object: 'text_completion',
    created,
    model,
    choices,
  });
  return {
    answer,
    choice(index) {
      const text: string[] = [];
      const tokens: OllamaLogprob[] = [];
      let offset = 0;
      const choice = (added: string, reason: FinishReason | null, logprobs: Json | null) => ({
        index,
        text: added,
        logprobs,
        finish_reason: reason,
      });
      return {
        take(piece) {
          if (piece.text === '' && piece.logprobs.length === 0) return [];
          const logprobs = withLogprobs ? completionLogprobs(piece.logprobs, offset) : null;
          text.push(piece.text);
          tokens.push(...piece.logprobs);
          offset += piece.logprobs.reduce((sum, { token }) => sum + token.length, 0);
          return [answer([choice(piece.text, null, logprobs)])];
        },
        last: (reason) => answer([choice('', reason, null)]),
        whole: (reason) => choice(text.join(''), reason, withLogprobs ? completionLogprobs(tokens, 0) : null),
        hasToolCalls: false,
      };
    },
  };
}

const named = ({ token, logprob, bytes }: Omit<OllamaLogprob, 'top_logprobs'>) => ({
  token,
  logprob,
  bytes: bytes ?? null,
});

const chatLogprob = (given: OllamaLogprob): Json => ({
  ...named(given),
  top_logprobs: (given.top_logprobs ?? []).map(named),
});

/** OpenAI's older form. The picked token is in `top_logprobs` even where it is not among the likeliest. */
function completionLogprobs(tokens: readonly OllamaLogprob[], offset: number): Json {
  let at = offset;
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ token, logprob, top_logprobs: top }) => ({
      [token]: logprob,
      ...Object.fromEntries((top ?? []).map((other) => [other.token, other.logprob])),
    })),
    text_offset: tokens.map(({ token }) => {
      const start = at;
      at += token.length;
      return start;
    }),
  };
}
