import type { Status } from './status.ts';

/** A range of layers that one worker holds, or loads. */
export type HeldLayers = NonNullable<Status['layers']>[number];

/** Who holds which layers, from the first layer on. Of a server that tells only of its pipeline, the pipeline's. */
export function heldLayers({ layers, workers }: Pick<Status, 'layers' | 'workers'>): readonly HeldLayers[] {
  const held: readonly HeldLayers[] =
    layers ??
    workers.flatMap(({ peer, name, layers: own }) =>
      own === null ? [] : [{ peer, name, layers: own, state: 'held', sequences: 0 } as const],
    );
  return held.toSorted((a, b) => a.layers[0] - b.layers[0] || b.layers[1] - a.layers[1]);
}

/** Layers [start, end) that the same workers hold. */
export interface Coverage {
  readonly start: number;
  readonly end: number;
  /** Those that are named. */
  readonly by: readonly HeldLayers[];
  /** How many can compute it now, where the server counts them: of a large mesh not all are named. */
  readonly counted?: number;
}

/**
 * The model's layers cut where their holders change; a part without any is a gap.
 * @param layers of the model
 * @param counts of each layer, how many can compute it
 */
export function coverage(
  held: readonly HeldLayers[],
  layers: number,
  counts?: readonly number[] | null,
): Coverage[] {
  const changes = counts?.flatMap((count, layer) => (count === counts[layer - 1] ? [] : layer)) ?? [];
  const cuts = new Set([0, layers, ...held.flatMap((one) => one.layers), ...changes]);
  const ordered = [...cuts].filter((cut) => cut >= 0 && cut <= layers).toSorted((a, b) => a - b);
  return ordered.slice(1).map((end, index) => {
    const start = ordered[index]!;
    const by = held.filter((one) => one.layers[0] < end && one.layers[1] > start);
    const counted = counts?.[start];
    return { start, end, by, ...(counted !== undefined && { counted }) };
  });
}

/** How many can compute it now. */
export const replicas = ({ by, counted }: Coverage): number =>
  counted ?? new Set(by.filter(({ state }) => state === 'held').map(({ peer }) => peer)).size;

/** How often layers are held, for people. @param counts of each part of the model, how many can compute it */
export function replicaText(counts: readonly number[]): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const times = (count: number) => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);
  if (least === 0) return 'Some layers are held by nobody yet.';
  if (least === most) return `Every layer is held ${times(least)}.`;
  return `Every layer is held ${times(least)} at least, some ${times(most)}.`;
}
