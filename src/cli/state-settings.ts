/** Where a server keeps answers beyond its process: `--state DIR`, or SHOAL_STATE_DIR, or `state` of the file; SHOAL_STATE_KEY seals them. */
import { resolve } from 'node:path';
import type { MeshSettings } from '../config/mesh-fields.ts';
import { Secret } from '../config/secret.ts';
import type { StateSettings } from '../server/server.ts';
import type { ServerFlags } from './program.ts';

export function stateOf(
  { state }: Pick<ServerFlags, 'state'>,
  env: NodeJS.ProcessEnv,
  file: Pick<MeshSettings, 'state'> = {},
): { readonly state?: StateSettings } {
  const directory = state ?? (env.SHOAL_STATE_DIR || file.state);
  if (directory === undefined) return {};
  const key = env.SHOAL_STATE_KEY || undefined;
  // As `fromCallersFolder`, for a folder that need not be there yet.
  const from = (env.npm_lifecycle_event === undefined ? undefined : env.INIT_CWD) ?? '.';
  return {
    state: { directory: resolve(from, directory), key: key === undefined ? null : new Secret(key) },
  };
}
