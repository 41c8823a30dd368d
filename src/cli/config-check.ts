import { chooseBackend } from '../backend/choose.ts';
import { DEFAULT_MODEL_ID, resolveModel } from '../config/catalogue.ts';
import { ShoalError } from '../config/errors.ts';
import { parseModelBackend } from '../config/model-backend.ts';
import { readSource } from './read-source.ts';

/**
 * `shoal config check FILE`: what a server with this file would run, or all that is wrong with it. Prints no secret.
 * @throws CONFIG_INVALID, MODEL_NOT_FOUND: what `serve` would refuse
 */
export async function configCheck(file: string): Promise<void> {
  const config = parseModelBackend(await readSource(file), file);
  if (config.provider === 'fxn') {
    const { id, directory } = resolveModel(config.fxnId ?? DEFAULT_MODEL_ID);
    process.stdout.write(`${file}: fxn, model ${id} in ${directory}\n`);
    return;
  }
  const backend = await chooseBackend(config, () => {
    throw new ShoalError('INTERNAL', `provider ${config.provider} opened the native engine`);
  });
  await backend.close();
  process.stdout.write(`${file}: ${config.provider} at ${config.nodes.map(({ url }) => url).join(', ')}\n`);
}
