/** The objects that OpenAI's clients read, for both endpoints, whole and in chunks. */
import type { FinishReason, GenerationReport } from './generation.ts';

/** What one endpoint's answers look like; the way they are made and sent is the same. */
export interface AnswerShape {
  whole(text: string, reason: FinishReason): Record<string, unknown>;
  /** The chunk before any text, if the endpoint has one. */
  first(): Record<string, unknown> | null;
  delta(text: string): Record<string, unknown>;
  last(reason: FinishReason): Record<string, unknown>;
  /** A chunk without choices, for usage. */
  bare(): Record<string, unknown>;
}

export interface AnswerHead {
  /** Unique, without the endpoint's prefix. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export function chatAnswer({ id, created, model }: AnswerHead): AnswerShape {
  const head = (object: string) => ({ id: `chatcmpl-${id}`, object, created, model });
  const chunk = (delta: object, reason: FinishReason | null) => ({
    ...head('chat.completion.chunk'),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
  });
  return {
    whole: (text, reason) => ({
      ...head('chat.completion'),
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null },
          logprobs: null,
          finish_reason: reason,
        },
      ],
    }),
    first: () => chunk({ role: 'assistant', content: '', refusal: null }, null),
    delta: (text) => chunk({ content: text }, null),
    last: (reason) => chunk({}, reason),
    bare: () => ({ ...head('chat.completion.chunk'), choices: [] }),
  };
}

export function completionAnswer({ id, created, model }: AnswerHead): AnswerShape {
  const head = { id: `cmpl-${id}`, object: 'text_completion', created, model };
  const answer = (text: string, reason: FinishReason | null) => ({
    ...head,
    choices: [{ text, index: 0, logprobs: null, finish_reason: reason }],
  });
  return {
    whole: answer,
    first: () => null,
    delta: (text) => answer(text, null),
    last: (reason) => answer('', reason),
    bare: () => ({ ...head, choices: [] }),
  };
}

export function usageOf(report: GenerationReport) {
  return {
    prompt_tokens: report.promptTokens,
    completion_tokens: report.completionTokens,
    total_tokens: report.promptTokens + report.completionTokens,
  };
}

/** Shoal's own field on an answer, or on a stream's chunk with the finish reason: who served it, how fast. */
export function shoalOf(report: GenerationReport) {
  return {
    stages: report.stages,
    restarts: report.restarts,
    time_to_first_token_ms: rounded(report.timeToFirstTokenMs),
    tokens_per_second: rounded(report.tokensPerSecond),
  };
}

const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
