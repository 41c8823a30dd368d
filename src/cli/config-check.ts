import { readFile } from 'node:fs/promises';
import { ShoalError } from '../config/errors.ts';
import { parseModelBackend } from '../config/model-backend.ts';

/** `shoal config check FILE`: says what is wrong and where, or what the file chooses. Prints no secret. */
export async function configCheck(file: string): Promise<void> {
  const source = await readFile(file, 'utf8').catch((error) => {
    throw new ShoalError('CONFIG_INVALID', `${file} cannot be read (${error.code}); check the path`, {
      cause: error,
    });
  });
  const config = parseModelBackend(source, file);
  process.stdout.write(`${file}: ${config.provider}${config.url ? ` at ${config.url}` : ''}\n`);
}
