import { LAST_WORDS_MS } from '../config/limits.ts';
import type { RunningServer } from '../server/server.ts';
import { commandName } from './command-name.ts';
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
  for (const line of trustLines(server)) log.info(line);
  await untilStopped(scope.signal);
  log.info('shutting down');
}

/** What who comes from elsewhere needs to know of a certificate that nobody else vouches for. */
export function trustLines({ selfSigned, urls }: Pick<RunningServer, 'selfSigned' | 'urls'>): string[] {
  if (selfSigned === null) return [];
  const flags = `--server ${urls[1] ?? urls[0]} --tls-fingerprint ${selfSigned.fingerprint}`;
  return [
    `certificate ${selfSigned.fingerprint} (made by this server: browsers warn once, and show it to be compared)`,
    `lend a GPU from another machine: ${commandName()} worker ${flags}`,
    `ask it from another machine: ${commandName()} chat ${flags}`,
  ];
}

/**
 * Answers on their way are finished before anything is closed, on Ctrl-C as on SIGTERM: mostly there is none and nothing
 * is waited for, and who does not want to wait signals again.
 */
export function drainLast(server: RunningServer, { drainTimeout }: ServerFlags, scope: Scope): void {
  scope.defer(() => server.drain(drainTimeout * 1_000), drainTimeout * 1_000 + 2 * LAST_WORDS_MS);
}
