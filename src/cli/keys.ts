import { ShoalError } from '../config/errors.ts';
import { hashApiKey, newApiKey } from '../server/access/api-key.ts';
import { changeKeyFile, KEY_NAME, readKeyFile } from '../server/access/key-file.ts';
import type { KeysAddFlags, KeysFlags } from './program.ts';

/**
 * `shoal keys add NAME`: makes a key and prints it, once; the file gets its hash only.
 * @throws CONFIG_INVALID
 */
export async function keysAdd(name: string, flags: KeysAddFlags): Promise<void> {
  if (!KEY_NAME.test(name)) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `a key's name has 1 to 64 letters, digits, dots, dashes or underscores; "${name.slice(0, 80)}" has not`,
    );
  }
  const key = newApiKey();
  const { file, requestsPerMinute, concurrent, lend } = flags;
  await changeKeyFile(file, (keys) => {
    if (keys.some((other) => other.name === name)) {
      throw new ShoalError(
        'CONFIG_INVALID',
        `${file} has a key "${name}" already; remove it first, or choose another name`,
      );
    }
    const stored = {
      name,
      sha256: hashApiKey(key).toString('hex'),
      created: new Date().toISOString(),
      ...(requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(concurrent !== undefined && { concurrent }),
      ...(lend !== undefined && { lend }),
    };
    return [...keys, stored];
  });
  process.stderr.write(`The key of "${name}"; it is shown this once, ${file} has only its hash:\n`);
  process.stdout.write(`${key}\n`);
}

/** `shoal keys list`: names, dates and limits. @throws CONFIG_INVALID */
export async function keysList({ file }: KeysFlags): Promise<void> {
  for (const { name, created, requestsPerMinute, concurrent, lend } of readKeyFile(file)) {
    const limits = [
      ...(requestsPerMinute === undefined ? [] : [`${requestsPerMinute} requests/min`]),
      ...(concurrent === undefined ? [] : [`${concurrent} at once`]),
      ...(lend ? ['may lend'] : []),
    ];
    process.stdout.write(`${[name, created.slice(0, 10), ...limits].join('  ')}\n`);
  }
}

/** `shoal keys remove NAME`; a running server refuses the key a second later. @throws CONFIG_INVALID */
export async function keysRemove(name: string, { file }: KeysFlags): Promise<void> {
  await changeKeyFile(file, (keys) => {
    const rest = keys.filter((key) => key.name !== name);
    if (rest.length === keys.length) {
      const known = keys.map((key) => key.name).join(', ') || 'none';
      throw new ShoalError('CONFIG_INVALID', `${file} has no key "${name.slice(0, 80)}"; there is: ${known}`);
    }
    return rest;
  });
  process.stdout.write(`${name} removed from ${file}\n`);
}
