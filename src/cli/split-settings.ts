/** How a model is spread over workers: options of the command line, and keys of model_backend.yaml where these say nothing. */
import type { MeshSettings } from '../config/mesh-fields.ts';
import type { MeshNode } from '../server/node.ts';
import type { ServerFlags } from './program.ts';

type SplitFlags = Pick<ServerFlags, 'minStages' | 'maxStages' | 'solo' | 'replicas'>;

/** @param expectWorkers tabs that the command itself starts: they show a split, unless something says otherwise */
export function splitOf(
  flags: SplitFlags,
  file: MeshSettings,
  expectWorkers?: number,
): Pick<MeshNode, 'minStages' | 'pipelineSize' | 'solo' | 'replicas'> {
  // The two exclude each other: who says one on the command line means it against the file's other.
  const solo = flags.solo ?? (flags.minStages === undefined ? file.solo : undefined);
  const asked = flags.minStages ?? (solo === true ? undefined : file.minStages);
  const minStages = asked ?? (solo === true ? undefined : expectWorkers);
  const maxStages = flags.maxStages ?? file.maxStages;
  const replicas = flags.replicas ?? file.replicas;
  return {
    ...(minStages !== undefined && { minStages }),
    ...(maxStages !== undefined && { pipelineSize: maxStages }),
    ...(solo !== undefined && { solo }),
    ...(replicas !== undefined && { replicas }),
  };
}
