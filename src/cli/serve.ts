import { LAST_WORDS_MS } from '../config/limits.ts';
import type { RunningServer } from '../server/server.ts';
import { createLogger } from './log.ts';
import { openServer } from './open-server.ts';
import type { ServerFlags } from './program.ts';
import type { Scope } from './scope.ts';
import { untilStopped } from './stay-up.ts';

/** `shoal serve`: the server alone; workers come from elsewhere. */
export async function serve(flags: ServerFlags, scope: Scope): Promise<void> {
  const log = createLogger();
  const server = await openServer(flags, log, scope);
  drainLast(server, flags, scope);
  for (const url of server.urls) log.info(`page ${url}  API ${url}/v1`);
  await untilStopped(scope.signal);
  log.info('shutting down');
}

/**
 * Answers on their way are finished before anything is closed, on Ctrl-C as on SIGTERM: mostly there is none and nothing
 * is waited for, and who does not want to wait signals again.
 */
export function drainLast(server: RunningServer, { drainTimeout }: ServerFlags, scope: Scope): void {
  scope.defer(() => server.drain(drainTimeout * 1_000), drainTimeout * 1_000 + 2 * LAST_WORDS_MS);
}
