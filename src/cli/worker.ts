import { TabFleet } from './browser/tab-fleet.ts';
import { fromCallersFolder } from './callers-folder.ts';
import { createLogger } from './log.ts';
import type { WorkerFlags } from './program.ts';
import { readFirstConfig } from './read-config.ts';
import { reportTab } from './report-tab.ts';
import type { Scope } from './scope.ts';
import { untilStopped } from './stay-up.ts';

/** `shoal worker`: tabs, or the proxy of model_backend.yaml, that serve until the command is stopped. */
export async function worker(flags: WorkerFlags, scope: Scope): Promise<void> {
  const log = createLogger();
  const { file, config, warnings } = await readFirstConfig(fromCallersFolder(flags.config));
  for (const warning of warnings) log.warn(warning);
  if (config.provider !== 'fxn') {
    const { provide } = await import('./provide.ts');
    await provide(flags, file, config, log, scope);
    return;
  }
  const fleet = new TabFleet({
    serverUrl: flags.server,
    tabs: flags.tabs,
    namePrefix: flags.name ?? 'tab',
    gpu: flags.gpu,
    headful: flags.headful ?? false,
    insecure: flags.insecure ?? false,
    sandbox: flags.sandbox,
    ...(flags.memory !== undefined && { memoryGb: flags.memory }),
    onChange: (tab, state) => reportTab(log, tab, state),
    onProbe: (tab, line) => log.info(`${tab}: ${line}`),
  });
  scope.defer(() => fleet.close());
  // Who tells every Shoal process to read its files anew must not lose the tabs.
  scope.onHangUp(() => log.info('SIGHUP: tabs have no configuration that could be read anew'));
  log.info(`${flags.tabs} ${flags.tabs === 1 ? 'tab' : 'tabs'} for ${flags.server}`);
  await fleet.start();
  await untilStopped(scope.signal);
  log.info('leaving');
}
