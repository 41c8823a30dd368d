import { readFile } from 'node:fs/promises';
import { ShoalError } from '../config/errors.ts';

/** @throws CONFIG_INVALID */
export async function readSource(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ShoalError('CONFIG_INVALID', `${file} cannot be read (${code}); check the path`, { cause });
  }
}
