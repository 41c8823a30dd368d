import type { Capability } from '../../../mesh/protocol/control.ts';
import type { Shard } from '../../../model/shard.ts';
import { costsOn, type ModelCosts } from '../../../schedule/costs.ts';

/** What a shard costs a worker: seconds of one token's matrices, GPU bytes with scratch and one sequence of full length. */
export function shardCost(
  modelCosts: ModelCosts,
  { gemvMacsPerSecond, storesF16AsF32 = false }: Capability,
  { start, end, embedding, head }: Shard,
): { readonly seconds: number; readonly bytes: number } {
  const costs = costsOn(modelCosts, { storesF16AsF32 });
  const parts = [
    ...costs.layers.slice(start, end),
    ...(embedding ? [costs.embedding] : []),
    ...(head ? [costs.head] : []),
  ];
  const macs = parts.reduce((sum, part) => sum + part.macs, 0);
  const tied = embedding && head ? costs.tiedBytes : 0;
  return {
    seconds: macs / gemvMacsPerSecond,
    bytes: parts.reduce((sum, part) => sum + part.bytes, costs.scratchBytes) - tied,
  };
}
