/** How the mesh stands, in numbers, for who operates it. */
import type { PredictionErrors } from '../../../schedule/prediction-errors.ts';
import type { Holding } from '../holdings/holding.ts';
import type { LinkState } from '../holdings/wanted-links.ts';

export interface MeshFigures {
  /** Workers that can compute each layer now, from the first layer on. */
  readonly replicas: readonly number[];
  /** Links that the server wants, by what their ends say. */
  readonly links: Readonly<Record<LinkState, number>>;
  /** Those that said hello and lend nothing. */
  readonly spectators: number;
  /** Workers whose socket closed, and who may return. */
  readonly away: number;
  /** Seconds of one decode step on a stage, transfers to and from the GPU and frames included; one of each worker that reports them. */
  readonly stageSeconds: readonly number[];
  /** Round trips of links, as either end reports them. */
  readonly roundTripSeconds: readonly number[];
  /** What was said of the last placements before their first token, against what they gave. */
  readonly predictionErrors: PredictionErrors;
  /** Rises: sequences that went on with another route. */
  readonly failovers: number;
  /** Rises: positions that stages computed again for it, all stages together. */
  readonly replayedPositions: number;
  /** Rises: times that a sequence went on in another class of adapters. */
  readonly crossings: number;
  /** Rises: bytes of shards that came onto GPUs. */
  readonly loadedBytes: number;
  /** Rises: of them, those of layers that the same worker had held before. */
  readonly loadedAgainBytes: number;
}

/** @param layers of the model. @returns for each, the workers that hold it and are there */
export function replicasOf(holdings: readonly Holding[], layers: number): number[] {
  const holders = Array.from({ length: layers }, () => new Set<string>());
  for (const { peer, layers: held, isHeld } of holdings) {
    if (!isHeld || !peer.isWorker) continue;
    for (let layer = held.start; layer < held.end; layer++) holders[layer]?.add(peer.id);
  }
  return holders.map(({ size }) => size);
}
