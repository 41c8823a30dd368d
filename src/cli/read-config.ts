import { existsSync } from 'node:fs';
import { ShoalError } from '../config/errors.ts';
import { type ModelBackendFile, readModelBackend } from '../config/model-backend.ts';
import { readSource } from './read-source.ts';

/** Read from the working directory where `--config` names no other. */
const CONFIG_FILE = 'model_backend.yaml';

/**
 * `${NAME}` is looked up in the environment as it is now.
 * @throws CONFIG_INVALID with one `file:line:column: key: reason` line per fault; for an empty file: one that is being
 *   written is empty for a moment, and would else mean the default
 */
export async function readConfigFile(file: string): Promise<ModelBackendFile> {
  const source = await readSource(file);
  if (source === '') {
    throw new ShoalError(
      'CONFIG_INVALID',
      `${file}:1:1: is empty; for the default write backend_provider: "fxn"`,
    );
  }
  return readModelBackend(source, file);
}

/** What a command starts with, and the file that it follows from then on, which need not exist yet. */
export async function readFirstConfig(
  named: string | undefined,
): Promise<ModelBackendFile & { readonly file: string }> {
  const file = named ?? CONFIG_FILE;
  if (named === undefined && !existsSync(CONFIG_FILE)) {
    return { file, config: { provider: 'fxn' }, warnings: [] };
  }
  return { file, ...(await readConfigFile(file)) };
}
