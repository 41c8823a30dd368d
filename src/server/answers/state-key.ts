/** The key that stored answers are sealed with: the operator's, or one that is made and kept beside them. */
import { hkdfSync, randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ShoalError } from '../../config/errors.ts';
import { MIN_STATE_KEY_CHARS } from '../../config/limits.ts';
import type { Secret } from '../../config/secret.ts';

const KEY_BYTES = 32;
const KEY_FILE = 'key';

/**
 * @param given SHOAL_STATE_KEY: then no key lies on the disk
 * @throws CONFIG_INVALID
 */
export async function openStateKey(directory: string, given: Secret | null): Promise<Buffer> {
  if (given !== null) {
    const text = given.reveal();
    if (text.length < MIN_STATE_KEY_CHARS) {
      throw new ShoalError(
        'CONFIG_INVALID',
        `SHOAL_STATE_KEY has ${text.length} characters, at least ${MIN_STATE_KEY_CHARS} are needed; make one with: openssl rand -hex 32`,
      );
    }
    return Buffer.from(hkdfSync('sha256', text, '', 'shoal stored answers', KEY_BYTES));
  }
  const file = join(directory, KEY_FILE);
  try {
    await writeFile(file, randomBytes(KEY_BYTES), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(file, error);
  }
  const key = await readFile(file).catch((error) => {
    throw unusable(file, error);
  });
  if (key.length !== KEY_BYTES) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `${file} has ${key.length} bytes, a key has ${KEY_BYTES}; delete it for a new one, stored answers are then lost`,
    );
  }
  // One that was copied here may be readable by others.
  await chmod(file, 0o600).catch(() => {});
  return key;
}

function unusable(file: string, cause: unknown): ShoalError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ShoalError('CONFIG_INVALID', `--state: ${file} cannot be used: ${reason}`, { cause });
}
