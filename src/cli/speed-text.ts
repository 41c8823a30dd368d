/** `31 tok/s, first token 0.4 s`. */
export function speedText({
  tokensPerSecond,
  firstTokenMs,
}: {
  readonly tokensPerSecond: number;
  /** Null where nothing is known of it. */
  readonly firstTokenMs: number | null;
}): string {
  const rate = `${short(tokensPerSecond)} tok/s`;
  return firstTokenMs === null ? rate : `${rate}, first token ${short(firstTokenMs / 1_000)} s`;
}

function short(value: number): number {
  return Number(value.toPrecision(2));
}
