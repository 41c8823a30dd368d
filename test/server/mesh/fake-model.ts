import type { TokenLogprobs } from '../../../src/model/sampling.ts';

export const FAKE_VOCAB = 1_000;
/** What it says is in the vocabulary of the smallest fixture too, so that a fake worker may serve any of them. */
const SAID_IDS = 300;

/** The fake model: the next id depends on every id before it, so that a wrong replay gives other text. */
export function nextId(ids: readonly number[]): number {
  let hash = 2_166_136_261;
  for (const id of ids) hash = Math.imul(hash ^ id, 16_777_619) >>> 0;
  return hash % SAID_IDS;
}

/** Depends on the id alone. */
export function fakeLogprobs(id: number, count: number): TokenLogprobs {
  return { picked: -id - 1, top: Array.from({ length: count }, (_, i) => [i, -i - 1]) };
}

/** What the fake model says after `prompt`. */
export function expectedIds(prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  for (let i = 0; i < count; i++) ids.push(nextId(ids));
  return ids.slice(prompt.length);
}
