/** Where a server keeps answers beyond its process: `--state DIR`, or SHOAL_STATE_DIR; SHOAL_STATE_KEY seals them. */
import { resolve } from 'node:path';
import { Secret } from '../config/secret.ts';
import type { StateSettings } from '../server/server.ts';
import type { ServerFlags } from './program.ts';

export function stateOf(
  { state }: Pick<ServerFlags, 'state'>,
  env: NodeJS.ProcessEnv,
): { readonly state?: StateSettings } {
  const directory = state ?? (env.SHOAL_STATE_DIR || undefined);
  if (directory === undefined) return {};
  const key = env.SHOAL_STATE_KEY || undefined;
  // As `fromCallersFolder`, for a folder that need not be there yet.
  const from = (env.npm_lifecycle_event === undefined ? undefined : env.INIT_CWD) ?? '.';
  return {
    state: { directory: resolve(from, directory), key: key === undefined ? null : new Secret(key) },
  };
}
