import { generationOf } from './generation.ts';

/**
 * How many answers a request asks for at once, before its parameters are checked: `n`, or `best_of` where more are made
 * than sent, for each prompt. What is no count asks for one: whoever answers will refuse it. Ollama's API has one answer.
 */
export function answersAsked(path: string, body: unknown): number {
  if (generationOf(path, body) === null || !path.startsWith('/v1/')) return 1;
  if (typeof body !== 'object' || body === null) return 1;
  const { n, best_of: best, prompt } = body as Readonly<Record<string, unknown>>;
  // A list of numbers is one prompt as token ids.
  const prompts = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1;
  return Math.max(countOf(n), countOf(best)) * prompts;
}

/** As lenient as the most lenient server behind a proxy, which reads "8" as 8. */
function countOf(value: unknown): number {
  const count = typeof value === 'number' || typeof value === 'string' ? Math.ceil(Number(value)) : 1;
  return Number.isSafeInteger(count) && count > 1 ? count : 1;
}
