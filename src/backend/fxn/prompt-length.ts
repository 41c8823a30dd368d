/** Whether a prompt fits the context: by its ids, and by its text before there are any. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_CHOICES, MAX_RENDERED_CHARS } from '../../config/limits.ts';
import type { ModelSpec } from '../../model/spec.ts';

interface Context {
  readonly id: string;
  readonly spec: Pick<ModelSpec, 'contextLength' | 'vocab'>;
}

/** @throws CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST */
export function checkIds({ id: model, spec }: Context, ids: number[], param: string): number[] {
  const { contextLength, vocab } = spec;
  if (ids.length === 0) {
    throw new ShoalError('INVALID_REQUEST', `${param} gives no tokens for ${model}; send some text`, {
      param,
    });
  }
  if (ids.length >= contextLength) throw tooLong(model, contextLength, `${ids.length}`, ids.length, param);
  const outside = ids.find((id) => id >= vocab);
  if (outside !== undefined) {
    throw new ShoalError(
      'INVALID_REQUEST',
      `${param} has the token id ${outside}, and the vocabulary of ${model} ends at ${vocab - 1}`,
      { param },
    );
  }
  return ids;
}

/**
 * Token ids of a request that is not yet checked: the schema looks at each, and there may be a million.
 *
 * @throws CONTEXT_LENGTH_EXCEEDED
 */
export function checkRawIds({ id: model, spec: { contextLength } }: Context, body: unknown): void {
  const prompt = typeof body === 'object' && body !== null && 'prompt' in body ? body.prompt : undefined;
  if (!Array.isArray(prompt)) return;
  const lists: readonly unknown[] =
    typeof prompt[0] === 'number' ? [prompt] : prompt.slice(0, MAX_CHOICES + 1);
  for (const ids of lists) {
    if (!Array.isArray(ids) || ids.length < contextLength) continue;
    throw tooLong(model, contextLength, `${ids.length}`, ids.length, 'prompt');
  }
}

/**
 * Refuses text that cannot fit, whatever its tokens are, before it costs anything to find out.
 *
 * @param bytes of the text in UTF-8
 * @param mostBytesPerToken of the model's tokenizer
 * @throws CONTEXT_LENGTH_EXCEEDED
 */
export function checkTextBytes(
  { id: model, spec: { contextLength } }: Context,
  mostBytesPerToken: number,
  bytes: number,
  param: string,
): void {
  const tokens = Math.ceil(bytes / mostBytesPerToken);
  if (tokens < contextLength) return;
  throw tooLong(model, contextLength, `${bytes} B of text, which are at least ${tokens}`, tokens, param);
}

/** @param chars of all texts of a request. @throws INVALID_REQUEST for more than a template may render */
export function checkChars(chars: number, param: string): void {
  if (chars <= MAX_RENDERED_CHARS) return;
  throw new ShoalError(
    'INVALID_REQUEST',
    `${param} has ${chars} characters, at most ${MAX_RENDERED_CHARS} are taken; send less`,
    { param },
  );
}

function tooLong(model: string, context: number, length: string, atLeast: number, param: string): ShoalError {
  return new ShoalError(
    'CONTEXT_LENGTH_EXCEEDED',
    `${param} is ${length} tokens long, and ${model} takes ${context} with at least one for the answer; shorten it by ${atLeast - context + 1} tokens or more`,
    { param },
  );
}
