import type { Quantization } from '../../model/shard.ts';
import { manifestPath, modelPath } from '../files/model-paths.ts';
import type { Pipeline } from './pipeline.ts';

/** Tells every worker of the pipeline what to load, and who its neighbours are. */
export function assignStages(pipeline: Pipeline, model: string, quantization: Quantization): void {
  const stages = pipeline.infos();
  for (const [index, { peer, shard }] of pipeline.stages.entries()) {
    peer.connection.send({
      type: 'assign',
      epoch: pipeline.epoch,
      model,
      manifestPath: manifestPath(model, shard),
      filesPath: modelPath(model),
      quantization,
      index,
      stages,
    });
  }
}
