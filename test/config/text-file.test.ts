import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfigFile } from '../../src/cli/read-config.ts';
import { decodeTextFile } from '../../src/config/text-file.ts';
import { changeKeyFile, readKeyFile } from '../../src/server/access/key-file.ts';

const TEXT = 'backend_provider: custom\r\nurl: http://127.0.0.1:9400\r\n# é\r\n';
const MARK = '\uFEFF';
const be = (text: string) => Buffer.from(text, 'utf16le').swap16();
const utf32 = (text: string) => Buffer.concat([...text].map((c) => Buffer.from([c.charCodeAt(0), 0, 0, 0])));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-text-'));
});
afterEach(() => rm(directory, { recursive: true }));

it.each([
  ['UTF-8', Buffer.from(TEXT)],
  ['UTF-8 with a mark', Buffer.from(MARK + TEXT)],
  ['UTF-16 LE with a mark, as PowerShell 5 writes it', Buffer.from(MARK + TEXT, 'utf16le')],
  ['UTF-16 LE', Buffer.from(TEXT, 'utf16le')],
  ['UTF-16 BE with a mark', be(MARK + TEXT)],
  ['UTF-16 BE', be(TEXT)],
])('reads %s', async (_, bytes) => {
  expect(decodeTextFile(bytes, 'x')).toBe(TEXT);
  const file = join(directory, 'model_backend.yaml');
  await writeFile(file, bytes);
  expect((await readConfigFile(file)).config).toMatchObject({
    provider: 'custom',
    nodes: [{ url: 'http://127.0.0.1:9400' }],
  });
});

it.each([
  [
    'Latin-1',
    Buffer.from(`a: 1\nb: "é" # ü\n# caf\u00e9 hunter2\n`, 'latin1'),
    /^x: is not UTF-8 on line 2, perhaps Latin-1/,
  ],
  ['Latin-1 behind UTF-8', Buffer.concat([Buffer.from('é\n\n'), Buffer.from('é', 'latin1')]), /on line 3/],
  [
    'binary data',
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d]),
    /binary data/,
  ],
  ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), /binary data/],
  ['half a UTF-16', Buffer.from(MARK + TEXT, 'utf16le').subarray(0, 21), /is UTF-16 LE, and cut off/],
  ['UTF-32', utf32(TEXT), /is UTF-32, which is not read; save it as UTF-8/],
  ['UTF-32 with a mark', utf32(MARK + TEXT), /is UTF-32/],
])('says of %s what it is', (_, bytes, message) => {
  expect(() => decodeTextFile(bytes, 'x')).toThrow(message);
  expect(() => decodeTextFile(bytes, 'x')).not.toThrow(/hunter2/);
});

it('reads what is empty', () => {
  expect(decodeTextFile(new Uint8Array(), 'x')).toBe('');
});

it('reads a file of keys that an editor saved as UTF-16, and says when it is none', async () => {
  const file = join(directory, 'api_keys.json');
  await writeFile(file, Buffer.from(`${MARK}{"version": 1, "keys": []}`, 'utf16le'));
  expect(readKeyFile(file)).toEqual([]);
  await changeKeyFile(file, (keys) => keys);
  expect(readKeyFile(file)).toEqual([]);
  await writeFile(file, Buffer.from('{"version": 1, "kéys": []}', 'latin1'));
  expect(() => readKeyFile(file)).toThrow('is not UTF-8');
});
