import { parseModelBackend } from '../config/model-backend.ts';
import { readSource } from './read-source.ts';

/** `shoal config check FILE`: says what is wrong and where, or what the file chooses. Prints no secret. */
export async function configCheck(file: string): Promise<void> {
  const config = parseModelBackend(await readSource(file), file);
  process.stdout.write(`${file}: ${config.provider}${config.url ? ` at ${config.url}` : ''}\n`);
}
