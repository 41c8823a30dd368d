/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a counter-based generator, so that the
 * draw for a position needs no state but the seed.
 * @param counter four u32 @param key two u32 @returns four u32
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [hi0, lo0] = multiply(0xd2511f53, c0);
    const [hi1, lo1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(hi1 ^ c1 ^ k0) >>> 0, lo1, (hi0 ^ c3 ^ k1) >>> 0, lo0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** @returns a number in [0, 1) of 53 bits, a function of (seed, position) alone */
export function drawAt(seed: number, position: number): number {
  const [a, b] = philox4x32([position >>> 0, 0, 0, 0], [seed >>> 0, 0]);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}

/** The 64-bit product of two u32: high and low word. */
function multiply(a: number, b: number): [number, number] {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + Math.floor(low / 65_536);
  const carry = a0 * b1 + (middle % 65_536);
  const high = a1 * b1 + Math.floor(middle / 65_536) + Math.floor(carry / 65_536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}
