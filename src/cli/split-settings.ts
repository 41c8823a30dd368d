/** How a model is spread over workers: options of the command line, and keys of model_backend.yaml where these say nothing. */
import { ShoalError } from '../config/errors.ts';
import type { MeshSettings } from '../config/mesh-fields.ts';
import type { MeshNode } from '../server/node.ts';
import type { ServerFlags } from './program.ts';

type SplitFlags = Pick<ServerFlags, 'minStages' | 'maxStages' | 'solo' | 'replicas'>;

/**
 * @param expectWorkers tabs that the command itself starts: they show a split, unless something says otherwise
 * @throws CONFIG_INVALID for more stages at least than at most
 */
export function splitOf(
  flags: SplitFlags,
  file: MeshSettings,
  expectWorkers?: number,
): Pick<MeshNode, 'minStages' | 'maxStages' | 'solo' | 'replicas'> {
  // The two exclude each other: who says one on the command line means it against the file's other.
  const solo = flags.solo ?? (flags.minStages === undefined ? file.solo : undefined);
  const asked = flags.minStages ?? (solo === true ? undefined : file.minStages);
  const maxStages = flags.maxStages ?? file.maxStages;
  if (asked !== undefined && maxStages !== undefined && asked > maxStages) {
    const told = (flag: string, key: string, isFlag: boolean) => (isFlag ? flag : key);
    const [least, most] = [
      told('--min-stages', 'min_stages', flags.minStages !== undefined),
      told('--max-stages', 'max_stages', flags.maxStages !== undefined),
    ];
    throw new ShoalError(
      'CONFIG_INVALID',
      `${least} is ${asked}, more than ${most}, which is ${maxStages}; lower the one or raise the other`,
    );
  }
  const shown = expectWorkers && Math.min(expectWorkers, maxStages ?? expectWorkers);
  const minStages = asked ?? (solo === true ? undefined : shown);
  const replicas = flags.replicas ?? file.replicas;
  return {
    ...(minStages !== undefined && { minStages }),
    ...(maxStages !== undefined && { maxStages: maxStages }),
    ...(solo !== undefined && { solo }),
    ...(replicas !== undefined && { replicas }),
  };
}
