import type { Capability } from '../../../mesh/protocol/control.ts';
import type { Shard } from '../../../model/shard.ts';
import type { ModelCosts } from '../../../schedule/costs.ts';
import { stageCostsOf } from '../../../schedule/stage-costs.ts';

/** What a shard costs a worker, by what layouts count with: seconds of one token's matrices, GPU bytes with scratch and one sequence of full length. */
export function shardCost(
  modelCosts: ModelCosts,
  { gemvMacsPerSecond, memoryBudgetBytes, maxBufferBytes, storesF16AsF32 = false }: Capability,
  { start, end }: Pick<Shard, 'start' | 'end'>,
): { readonly seconds: number; readonly bytes: number } {
  const costs = stageCostsOf(modelCosts);
  const worker = { memoryBytes: memoryBudgetBytes, maxBufferBytes, storesF16AsF32 };
  return { seconds: costs.macs(start, end) / gemvMacsPerSecond, bytes: costs.bytes(worker, start, end) };
}
