/** A running command follows its model_backend.yaml: on change and on SIGHUP. A broken file changes nothing. */
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { ModelBackendConfig } from '../config/backend-config.ts';
import { configChanges } from '../config/config-changes.ts';
import { ShoalError } from '../config/errors.ts';
import type { ModelBackendFile } from '../config/model-backend.ts';
import { readConfigFile } from './read-config.ts';
import type { Scope } from './scope.ts';
import { watchFile } from './watch-file.ts';

export interface ConfigReloadOptions {
  readonly file: string;
  /** What runs now. */
  readonly config: ModelBackendConfig;
  /** Runs `config` instead; what it throws is logged, and what ran before goes on. */
  readonly apply: (config: ModelBackendConfig) => Promise<void>;
  readonly log: Logger;
  readonly read?: (file: string) => Promise<ModelBackendFile>;
}

export type ReloadReason = 'SIGHUP' | 'change';

/**
 * @returns reads the file anew and applies it where it means something else than what runs. Never rejects. Calls are
 *   taken in turn; one that comes while another waits adds nothing.
 */
export function createConfigReload(options: ConfigReloadOptions): (why: ReloadReason) => Promise<void> {
  const { file, apply, log, read = readConfigFile } = options;
  let running = options.config;
  let turn: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | null = null;

  const reload = async (why: ReloadReason) => {
    waiting = null;
    try {
      const { config, warnings } = await read(file);
      const changes = configChanges(running, config);
      if (changes.length === 0) {
        if (why === 'SIGHUP') log.info(`SIGHUP: ${file} means what runs already`);
        return;
      }
      for (const warning of warnings) log.warn(warning);
      for (const change of changes) log.info(`${file}: ${change}`);
      await apply(config);
      running = config;
      log.info(`${file}: the new configuration runs`);
    } catch (thrown) {
      // One line per fault of the file, each with its place.
      for (const line of ShoalError.from(thrown).message.split('\n')) log.error(line);
      log.error(`${file} was not applied; what ran before goes on`);
    }
  };
  return (why) => {
    if (waiting !== null && why === 'change') return waiting;
    turn = turn.then(() => reload(why));
    waiting = turn;
    return turn;
  };
}

/** Follows the file until the command ends. */
export function followConfig(options: ConfigReloadOptions, scope: Scope): void {
  const reload = createConfigReload(options);
  scope.onHangUp(() => void reload('SIGHUP'));
  const stop = watchFile(options.file, () => void reload('change'));
  scope.defer(async () => stop());
  // It may have been written between its first reading and the watch; where none was named there need not be one.
  if (existsSync(options.file)) void reload('change');
}
