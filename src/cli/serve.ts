import { createLogger } from './log.ts';
import { openServer } from './open-server.ts';
import type { ServerFlags } from './program.ts';
import type { Scope } from './scope.ts';
import { untilStopped } from './stay-up.ts';

/** `shoal serve`: the server alone; workers come from elsewhere. */
export async function serve(flags: ServerFlags, scope: Scope): Promise<void> {
  const log = createLogger();
  const server = await openServer(flags, log, scope);
  for (const url of server.urls) log.info(`page ${url}  API ${url}/v1`);
  await untilStopped(scope.signal);
  log.info('shutting down');
}
