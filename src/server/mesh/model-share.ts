import { DEFAULT_REPLICAS } from '../../config/limits.ts';
import type { Status } from '../../mesh/protocol/status.ts';
import type { FileDtype } from '../../model/fetch/manifest.ts';
import type { ModelSpec } from '../../model/spec.ts';
import { shardWeightBytes } from '../../model/weight-layout.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import type { GroundOptions } from './ground-options.ts';

export type ModelShare = NonNullable<NonNullable<Status['model']>['share']>;

type AskedSplit = Pick<GroundOptions, 'solo' | 'minStages' | 'maxStages' | 'replicas'>;

/** What a worker's share of the model will be made of: for who wonders whether to join. */
export function modelShare(
  spec: ModelSpec,
  dtype: FileDtype,
  costs: ModelCosts,
  { solo, minStages, maxStages, replicas = DEFAULT_REPLICAS }: AskedSplit,
): ModelShare {
  const fileBytes = (ends: boolean) =>
    shardWeightBytes(
      spec,
      { start: 0, end: 1, embedding: ends, head: ends },
      { dtype, quantization: 'native', expandF16: false },
    );
  return {
    layerGpuBytes: costs.layers[0]!.bytes,
    layerFileBytes: fileBytes(false),
    endsGpuBytes: costs.embedding.bytes + costs.head.bytes,
    endsFileBytes: fileBytes(true) - fileBytes(false),
    scratchGpuBytes: costs.scratchBytes,
    maxStages: solo === true ? 1 : (maxStages ?? null),
    ...(minStages !== undefined && { minStages }),
    replicas,
  };
}
