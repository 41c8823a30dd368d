/** A piece of one of several choices. */
export interface ChoicePiece<Piece> {
  readonly index: number;
  readonly piece: Piece;
}

/**
 * All choices side by side, each piece as it comes, none passed over for long. The first failure is everyone's.
 * @param abort frees what still runs, because a generator's `return()` waits behind its `next()`
 * @throws what a choice throws
 */
export async function* mergedChoices<Piece>(
  choices: readonly AsyncGenerator<Piece>[],
  abort: () => void,
): AsyncGenerator<ChoicePiece<Piece>> {
  const next = async (index: number) => ({ index, result: await choices[index]!.next() });
  const pending = new Map(choices.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      pending.delete(index);
      if (result.done) continue;
      yield { index, piece: result.value };
      // At the end of the map: of several that are ready, the one that waited longest is taken next.
      pending.set(index, next(index));
    }
  } finally {
    abort();
    await Promise.allSettled(choices.map((choice) => choice.return(undefined)));
  }
}
