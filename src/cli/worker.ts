import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ShoalError } from '../config/errors.ts';
import { SHUTDOWN_MS, WORKER_DRAIN_MS } from '../config/limits.ts';
import { Backoff } from './backoff.ts';
import { TabFleet } from './browser/tab-fleet.ts';
import { fromCallersFolder } from './callers-folder.ts';
import { openLiveLines } from './live-lines.ts';
import { createLogger, loggerAbove } from './log.ts';
import type { WorkerFlags } from './program.ts';
import { readFirstConfig } from './read-config.ts';
import type { Scope } from './scope.ts';
import { pinnedCertificate, publicKeyHash } from './server-trust.ts';
import { untilStopped } from './stay-up.ts';
import { isNews, reportTab, tabLine } from './tab-line.ts';

/** `shoal worker`: tabs, or the proxy of model_backend.yaml, that serve until the command is stopped. */
export async function worker(flags: WorkerFlags, scope: Scope): Promise<void> {
  let log = createLogger();
  const { file, config, warnings } = await readFirstConfig(fromCallersFolder(flags.config));
  for (const warning of warnings) log.warn(warning);
  if (config.provider !== 'fxn') {
    const { provide } = await import('./provide.ts');
    await provide(flags, file, config, log, scope);
    return;
  }
  const joinKey = flags.joinKey ?? (process.env.SHOAL_JOIN_KEY || undefined);
  const trustedKey = await pinnedKey(flags, log, scope.signal);
  const lines = openLiveLines();
  if (lines !== null) log = loggerAbove(lines);
  const fleet = new TabFleet({
    serverUrl: flags.server,
    tabs: flags.tabs,
    namePrefix: flags.name ?? 'tab',
    gpu: flags.gpu,
    headful: flags.headful ?? false,
    insecure: flags.insecure ?? false,
    ...(trustedKey !== undefined && { trustedKey }),
    sandbox: flags.sandbox,
    ...(flags.memory !== undefined && { memoryGb: flags.memory }),
    ...(joinKey !== undefined && { joinKey }),
    onNotice: (notice) => log.warn(notice),
    onChange: (tab, state) => {
      if (lines === null || isNews(state)) reportTab(log, tab, state);
    },
    onState: (tab, state) => {
      const { text, mark } = tabLine(state);
      lines?.set(tab, text, mark);
    },
    onProbe: (tab, line) => log[lines === null ? 'info' : 'debug'](`${tab}: ${line}`),
  });
  scope.defer(() => fleet.close());
  // Before the tabs are closed; a second signal ends the process, and Chrome with it.
  scope.defer(() => fleet.drain(), WORKER_DRAIN_MS + SHUTDOWN_MS);
  scope.beforeEnd(() => lines?.end());
  // Who tells every Shoal process to read its files anew must not lose the tabs.
  scope.onHangUp(() => log.info('SIGHUP: tabs have no configuration that could be read anew'));
  log.info(`${flags.tabs} ${flags.tabs === 1 ? 'tab' : 'tabs'} for ${flags.server}; Ctrl-C ends`);
  lines?.set('browser', 'starting Chrome');
  await fleet.start();
  lines?.set('browser', 'Chrome runs', 'done');
  await untilStopped(scope.signal);
  log.info('leaving when the answers that run here have moved to other workers; Ctrl-C again leaves at once');
}

/**
 * Chrome knows no certificate by its fingerprint, but one by its public key, which only the server can tell.
 * @throws CERTIFICATE_REFUSED
 */
async function pinnedKey(
  { server, tlsFingerprint }: WorkerFlags,
  log: Logger,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (tlsFingerprint === undefined) return undefined;
  const backoff = new Backoff();
  for (;;) {
    try {
      return publicKeyHash(await pinnedCertificate(server, tlsFingerprint));
    } catch (error) {
      if (!(error instanceof ShoalError) || error.code !== 'BACKEND_FAILED') throw error;
      const waitMs = backoff.afterFailure(0);
      log.warn(`${error.message} Trying again in ${(waitMs / 1_000).toFixed(1)} s`);
      await delay(waitMs, undefined, { signal });
    }
  }
}
