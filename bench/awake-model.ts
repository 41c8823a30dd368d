import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const MINNOW = resolve('models/minnow');
/** With a token of so many letters a megabyte may fit the context, as far as its length tells: nothing is refused by it. */
const LONG_TOKEN_CHARS = 8_192;

/** minnow under the name `bench`, its tokenizer with one long token more. @returns its directory */
export async function benchModel(folder: string): Promise<string> {
  const directory = join(folder, 'bench');
  await mkdir(directory);
  for (const name of [
    'config.json',
    'generation_config.json',
    'tokenizer_config.json',
    'model.safetensors',
  ]) {
    await symlink(join(MINNOW, name), join(directory, name));
  }
  const tokenizer = JSON.parse(await readFile(join(MINNOW, 'tokenizer.json'), 'utf8'));
  const content = 'q'.repeat(LONG_TOKEN_CHARS);
  tokenizer.added_tokens.push({
    id: 2_048,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
  });
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
  return directory;
}
