import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keysAdd, keysRemove } from '../../../src/cli/keys.ts';
import { KEY_FILE_RECHECK_MS, MAX_API_KEY_CHARS } from '../../../src/config/limits.ts';
import { hashApiKey, newApiKey } from '../../../src/server/access/api-key.ts';
import { changeKeyFile, parseKeyFile, type StoredKey } from '../../../src/server/access/key-file.ts';
import { KeyRing } from '../../../src/server/access/key-ring.ts';

let folder: string;
let file: string;
let now = 0;
let logged = '';
const log = pino(
  {},
  {
    write(line) {
      logged += line;
    },
  },
);
const openRing = () => new KeyRing({ file, now: () => now, log });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-keys-'));
  file = join(folder, 'api_keys.json');
  logged = '';
});
afterEach(() => rmSync(folder, { recursive: true }));

const stored = (name: string, key: string, more: Partial<StoredKey> = {}): StoredKey => ({
  name,
  sha256: hashApiKey(key).toString('hex'),
  created: '2026-01-31T12:00:00.000Z',
  ...more,
});

async function add(name: string, more: Partial<StoredKey> = {}): Promise<string> {
  const key = newApiKey();
  await changeKeyFile(file, (keys) => [...keys, stored(name, key, more)]);
  return key;
}

describe('a key', () => {
  it('has 256 random bits, and no two are the same', () => {
    const key = newApiKey();
    expect(key).toMatch(/^sk-shoal-[\w-]{43}$/);
    expect(newApiKey()).not.toBe(key);
    expect(newApiKey(() => Buffer.alloc(32, 255))).toBe(`sk-shoal-${'_'.repeat(42)}8`);
  });
});

describe('the key file', () => {
  it('holds no key, is readable by its owner alone, and leaves no draft', async () => {
    const key = await add('alice');
    expect(readFileSync(file, 'utf8')).not.toContain(key.slice(9));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await add('bob');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['api_keys.json']);
  });

  it('is left as it was when a change fails, and when another command is at work', async () => {
    await add('alice');
    const before = readFileSync(file, 'utf8');
    await expect(keysAdd('alice', { file })).rejects.toThrow(/has a key "alice" already/);
    await expect(keysAdd('no spaces', { file })).rejects.toThrow(/letters, digits/);
    await expect(keysRemove('bob', { file })).rejects.toThrow(/no key "bob"; there is: alice/);
    writeFileSync(`${file}.new`, '');
    await expect(keysRemove('alice', { file })).rejects.toThrow(/another shoal keys is at work/);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('tells all its faults at once, and repeats nothing of what may be a key', () => {
    const pasted = newApiKey();
    const source = JSON.stringify({
      version: 2,
      keys: [
        stored('alice', 'a'),
        { ...stored('alice', 'b'), sha256: pasted },
        { ...stored('carol', 'c'), [pasted]: 1 },
        { ...stored('d d', 'd'), concurrent: 0 },
      ],
    });
    expect(() => parseKeyFile(source, 'k.json')).toThrow(
      /k\.json: version: must be 1[\s\S]*keys\.1\.sha256: must be 64[\s\S]*keys\.2: must have name[\s\S]*keys\.3\.name[\s\S]*keys\.3\.concurrent: must be at least 1/,
    );
    for (const bad of [source, `{"${pasted}`, `{"keys": ["${pasted}"]}`]) {
      let message = '';
      try {
        parseKeyFile(bad, 'k.json');
      } catch (error) {
        message = String(error);
      }
      expect(message).toMatch(/k\.json: /);
      expect(message).not.toContain(pasted);
    }
    const twice = JSON.stringify({
      version: 1,
      keys: [stored('a', 'x'), stored('a', 'y'), stored('b', 'x')],
    });
    expect(() => parseKeyFile(twice, 'k.json')).toThrow(
      /keys\.1\.name: is that of keys\.0 too[\s\S]*keys\.2\.sha256: is that of keys\.0/,
    );
  });
});

describe('the key ring', () => {
  it('tells whose key it is and what it may, and knows no other', async () => {
    const alice = await add('alice', { requestsPerMinute: 5, concurrent: 2 });
    const bob = await add('bob');
    const carol = await add('carol', { lend: true });
    const ring = openRing();
    expect(ring.authorize(carol)).toEqual({ name: 'carol', lend: true });
    expect(ring.authorize(alice)).toEqual({ name: 'alice', requestsPerMinute: 5, concurrent: 2 });
    expect(ring.authorize(bob)).toEqual({ name: 'bob' });
    const hash = hashApiKey(bob).toString('hex');
    for (const wrong of ['', `${bob}x`, bob.slice(0, -1), hash, 'x'.repeat(MAX_API_KEY_CHARS + 1)]) {
      expect(ring.authorize(wrong)).toBeNull();
    }
  });

  it('follows the file: a new key counts, a removed one does not', async () => {
    const alice = await add('alice');
    const ring = openRing();
    const bob = await add('bob');
    await keysRemove('alice', { file });
    now += KEY_FILE_RECHECK_MS - 1;
    expect(ring.authorize(alice)).not.toBeNull();
    now += 1;
    expect(ring.authorize(alice)).toBeNull();
    expect(ring.authorize(bob)).toEqual({ name: 'bob' });
  });

  it('keeps its keys when the file breaks or goes, and says so', async () => {
    const alice = await add('alice');
    const ring = openRing();
    writeFileSync(file, '{');
    now += KEY_FILE_RECHECK_MS;
    expect(ring.authorize(alice)).not.toBeNull();
    expect(logged).toContain('API keys stay as they were');
    rmSync(file);
    now += KEY_FILE_RECHECK_MS;
    expect(ring.authorize(alice)).not.toBeNull();
    const bob = await add('bob');
    ring.reload();
    expect(ring.authorize(alice)).toBeNull();
    expect(ring.authorize(bob)).not.toBeNull();
  });

  it('does not open without a good file', () => {
    expect(openRing).toThrow(/cannot be read \(ENOENT\); shoal keys add NAME --file/);
    mkdirSync(file);
    expect(openRing).toThrow(/cannot be read \(EISDIR\); check that it is a file/);
  });
});
