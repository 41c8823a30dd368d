/** api_keys.json: who may use the API, with the hash of each key and its limits. Written by `shoal keys`. */
import { readFileSync } from 'node:fs';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import {
  MAX_API_KEYS,
  MAX_CONCURRENT_PER_CLIENT,
  MAX_KEY_FILE_BYTES,
  MAX_REQUESTS_PER_MINUTE,
} from '../../config/limits.ts';
import { decodeTextFile } from '../../config/text-file.ts';

/** Goes into logs and onto terminals. */
export const KEY_NAME = /^[\w.-]{1,64}$/;

const limit = (max: number) =>
  z
    .number(`must be a whole number from 1 to ${max}`)
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(max, `must be at most ${max}`)
    .optional();

// The messages are our own: zod's would repeat an unknown field's name, and what stands there may be a pasted key.
const keySchema = z.strictObject(
  {
    name: z
      .string('must be text')
      .regex(KEY_NAME, 'must have 1 to 64 letters, digits, dots, dashes or underscores'),
    sha256: z
      .string('must be text')
      .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits; shoal keys add writes them'),
    created: z.iso.datetime('must be a date such as 2026-01-31T12:00:00Z'),
    requestsPerMinute: limit(MAX_REQUESTS_PER_MINUTE),
    concurrent: limit(MAX_CONCURRENT_PER_CLIENT),
    /** Its holder may lend a backend, and so read what others ask. */
    lend: z.boolean('must be true or false').optional(),
  },
  'must have name, sha256 and created, perhaps requestsPerMinute, concurrent and lend, and nothing else',
);

const fileSchema = z
  .strictObject(
    {
      version: z.literal(1, 'must be 1'),
      keys: z.array(keySchema, 'must be a list').max(MAX_API_KEYS, `must have at most ${MAX_API_KEYS} keys`),
    },
    'must be an object with version and keys, and nothing else',
  )
  .superRefine(({ keys }, context) => {
    for (const field of ['name', 'sha256'] as const) {
      const first = new Map<string, number>();
      keys.forEach((key, i) => {
        const earlier = first.get(key[field]);
        if (earlier === undefined) first.set(key[field], i);
        else
          context.addIssue({
            code: 'custom',
            path: ['keys', i, field],
            message: `is that of keys.${earlier} too; keep one`,
          });
      });
    }
  });

/** One key as the file holds it. */
export type StoredKey = z.output<typeof keySchema>;

/** @throws CONFIG_INVALID with one `file: field: reason` line per fault, all of them at once */
export function parseKeyFile(source: string, file: string): StoredKey[] {
  if (Buffer.byteLength(source) > MAX_KEY_FILE_BYTES) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `${file}: ${Buffer.byteLength(source)} bytes, and at most ${MAX_KEY_FILE_BYTES} are read; is this the right file?`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    // The parser's message quotes the text.
    throw new ShoalError('CONFIG_INVALID', `${file}: is not JSON; shoal keys add makes such a file`);
  }
  const result = fileSchema.safeParse(value);
  if (result.success) return result.data.keys;
  const faults = result.error.issues.map(({ path, message }) =>
    [file, ...(path.length > 0 ? [path.join('.')] : []), message].join(': '),
  );
  throw new ShoalError('CONFIG_INVALID', faults.join('\n'));
}

/** Read in one go, so that a request is judged by the file as it stands. @throws CONFIG_INVALID */
export function readKeyFile(file: string): StoredKey[] {
  let source: string;
  try {
    source = decodeTextFile(readFileSync(file), file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
  return parseKeyFile(source, file);
}

/**
 * Replaces the keys of a file, which need not exist: whole or not at all, readable by its owner only. The temporary file
 * is a lock as well, so that of two commands at once none is lost.
 *
 * @param change makes the new list of the old
 * @throws CONFIG_INVALID
 */
export async function changeKeyFile(
  file: string,
  change: (keys: readonly StoredKey[]) => readonly StoredKey[],
): Promise<void> {
  const draft = `${file}.new`;
  const handle = await open(draft, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    throw new ShoalError(
      'CONFIG_INVALID',
      cause.code === 'EEXIST'
        ? `${draft} exists: another shoal keys is at work, or was interrupted; delete it if none is`
        : `${file} cannot be written (${cause.code}); check the path`,
      { cause },
    );
  });
  try {
    const keys = change(await existingKeys(file));
    const text = `${JSON.stringify({ version: 1, keys }, null, 2)}\n`;
    parseKeyFile(text, file);
    await handle.writeFile(text);
    await handle.sync();
    await handle.close();
    await rename(draft, file);
  } catch (error) {
    await handle.close().catch(() => {});
    await unlink(draft).catch(() => {});
    throw error;
  }
}

async function existingKeys(file: string): Promise<StoredKey[]> {
  let source: string;
  try {
    source = decodeTextFile(await readFile(file), file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(file, cause);
  }
  return parseKeyFile(source, file);
}

function unreadable(file: string, cause: unknown): ShoalError {
  if (cause instanceof ShoalError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  return new ShoalError(
    'CONFIG_INVALID',
    `${file} cannot be read (${code}); ${code === 'ENOENT' ? `shoal keys add NAME --file ${file} makes it` : 'check that it is a file that this user may read'}`,
    { cause },
  );
}
