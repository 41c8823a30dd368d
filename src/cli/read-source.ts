import { readFile } from 'node:fs/promises';
import { ShoalError } from '../config/errors.ts';
import { decodeTextFile } from '../config/text-file.ts';

/** @throws CONFIG_INVALID */
export async function readSource(file: string): Promise<string> {
  try {
    return decodeTextFile(await readFile(file), file);
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new ShoalError('CONFIG_INVALID', `${file} cannot be read (${code}); check the path`, { cause });
  }
}
