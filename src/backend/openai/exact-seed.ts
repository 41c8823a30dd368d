import { memberText } from '../../config/json-text.ts';

/** A seed has 64 bits to most clients, and a double holds 53. */
export type Seed = number | bigint;

/**
 * A seed with the digits that the client sent. −1 is none: to vLLM, llama.cpp and Ollama it means another one each time.
 *
 * @param text what the request was parsed from; undefined: the double is all there is
 * @param within the member of the request that it stands in
 */
export function exactSeed(
  seed: number | undefined,
  text: string | undefined,
  within?: 'options',
): Seed | undefined {
  if (seed === -1) return undefined;
  if (seed === undefined || Number.isSafeInteger(seed) || text === undefined) return seed;
  const object = within === undefined ? text : memberText(text, within);
  const digits = (object && memberText(object, 'seed')) ?? '';
  return /^-?\d{1,20}$/.test(digits) ? BigInt(digits) : seed;
}

/** The seed in so many bits; equal seeds stay equal. */
export const seedBits = (seed: Seed, bits: number): number => Number(BigInt.asUintN(bits, BigInt(seed)));
