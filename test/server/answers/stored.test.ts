/** What lies on the disk: it opens for its key and name alone, whole, and nothing else is taken for it. */
import { mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_STORED_ANSWER_AGE_MS } from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { type AnswerRecord, decodeRecord, encodeRecord } from '../../../src/server/answers/answer-record.ts';
import { DirectoryStore } from '../../../src/server/answers/directory-store.ts';
import { newAnswerId } from '../../../src/server/answers/event-id.ts';
import { digestOf } from '../../../src/server/answers/idempotency-key.ts';
import { seal, unseal } from '../../../src/server/answers/sealed.ts';
import { seededRandom } from '../../mesh/seeded.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

function record(end: AnswerRecord['end'] = null, id = newAnswerId()): AnswerRecord {
  return {
    identity: {
      id,
      owner: digestOf('key a'),
      isAddress: false,
      key: digestOf('k'),
      fingerprint: digestOf('f'),
    },
    request: { path: '/v1/completions', text: '{"prompt":"TOP SECRET"}', lenders: null },
    beginning: { model: 'm', id: 'abc', created: 7, prompts: [[1, 2, 3]], seeds: [9], sequences: [null, 5] },
    begunAt: 1_000,
    end,
  };
}
const ENDED = {
  endedAt: 2_000,
  status: 200,
  headers: [['content-type', 'text/event-stream']] as [string, string][],
  events: [utf8('data: 1\n\n'), utf8('data: TOP SECRET\n\n')],
};
const plain = (one: AnswerRecord) => ({
  ...one,
  end: one.end && { ...one.end, events: one.end.events.map((event) => new TextDecoder().decode(event)) },
});

describe('a record', () => {
  it('is read as it was written, running and ended', () => {
    for (const one of [record(), record(ENDED), record({ ...ENDED, events: [] })]) {
      expect(plain(decodeRecord(encodeRecord(one)))).toEqual(plain(one));
    }
  });

  it('that is cut anywhere, or is anything else, is refused', () => {
    const bytes = encodeRecord(record(ENDED));
    let isWhole = 0;
    for (let length = 0; length < bytes.length; length++) {
      // Cut between two events it is a record with fewer; the seal notices that.
      try {
        decodeRecord(bytes.subarray(0, length));
        isWhole++;
      } catch (error) {
        expect(String(error)).not.toContain('SECRET');
      }
    }
    expect(isWhole).toBe(2);
    const random = seededRandom(1);
    for (let round = 0; round < 2_000; round++) {
      const damaged = Buffer.from(bytes);
      for (let n = 0; n < 1 + (round % 4); n++)
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
      try {
        decodeRecord(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(String(error)).not.toContain('SECRET');
      }
    }
  });
});

describe('a seal', () => {
  const key = Buffer.alloc(32, 1);

  it('opens with its key, under its name, and shows nothing', () => {
    const sealed = seal(key, 'a', utf8('TOP SECRET'));
    expect(unseal(key, 'a', sealed).toString()).toBe('TOP SECRET');
    expect(sealed.includes('SECRET')).toBe(false);
    expect(seal(key, 'a', utf8('TOP SECRET')).equals(sealed)).toBe(false);
    expect(() => unseal(Buffer.alloc(32, 2), 'a', sealed)).toThrow('another key');
    expect(() => unseal(key, 'b', sealed)).toThrow('another key');
  });

  it('does not open when any bit differs, or any byte is missing', () => {
    const sealed = seal(key, 'a', utf8('some text'));
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed);
      damaged[at] = damaged[at]! ^ 1;
      expect(() => unseal(key, 'a', damaged)).toThrow();
      expect(() => unseal(key, 'a', sealed.subarray(0, at))).toThrow();
    }
  });
});

describe('a directory of answers', () => {
  let directory: string;
  let logged = '';
  const log = pino(
    {},
    {
      write(line) {
        logged += line;
      },
    },
  );
  const open = (key: Secret | null = null, now = Date.now) =>
    DirectoryStore.open({ directory, key, now, log });
  const files = () => readdir(join(directory, 'answers'));

  beforeEach(async () => {
    logged = '';
    directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('gives back what was put, the newest of each, and nothing that was removed', async () => {
    const store = await open();
    const [one, two, three] = [record(), record(ENDED), record()];
    await Promise.all([
      store.put(one),
      store.put({ ...one, begunAt: 1_500 }),
      store.put(two),
      store.put(three),
    ]);
    void store.remove(three.identity.id);
    await store.settled();
    const loaded = await (await open()).load();
    expect(loaded.map(plain)).toEqual([{ ...one, begunAt: 1_500 }, two].map(plain));
    const names = await files();
    expect(names).toHaveLength(2);
    for (const name of names) {
      expect((await readFile(join(directory, 'answers', name))).includes('SECRET')).toBe(false);
      expect((await stat(join(directory, 'answers', name))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(join(directory, 'key'))).mode & 0o777).toBe(0o600);
    expect(logged).toBe('');
  });

  it('passes over what is torn, moved, sealed otherwise or foreign, and says so without repeating it', async () => {
    const store = await open();
    const torn = record();
    const moved = record();
    const good = record();
    for (const one of [torn, moved, good]) await store.put(one);
    const at = (name: string) => join(directory, 'answers', name);
    const sealed = await readFile(at(`${torn.identity.id}.answer`));
    await writeFile(at(`${torn.identity.id}.answer`), sealed.subarray(0, 100));
    await rename(at(`${moved.identity.id}.answer`), at(`${newAnswerId()}.answer`));
    await writeFile(at('notes.txt'), 'mine');
    await writeFile(at(`${newAnswerId()}.0011aabb.draft`), 'half');
    const loaded = await (await open()).load();
    expect(loaded.map(({ identity }) => identity.id)).toEqual([good.identity.id]);
    expect((await files()).sort()).toHaveLength(4);
    expect(logged.match(/cannot be read/g)).toHaveLength(2);
    expect(logged).toContain('left alone');
    expect(logged).not.toContain('SECRET');
    const later = () => Date.now() + MAX_STORED_ANSWER_AGE_MS + 1_000;
    await (await open(null, later)).load();
    expect((await files()).sort()).toEqual([`${good.identity.id}.answer`, 'notes.txt'].sort());
  });

  it('is sealed with the operator’s own key, where there is one, and then holds none', async () => {
    const mine = new Secret('0123456789abcdef0123456789abcdef');
    const store = await open(mine);
    await store.put(record());
    expect(await readdir(directory)).toEqual(['answers']);
    expect(await (await open(mine)).load()).toHaveLength(1);
    expect(await (await open(new Secret('another key of thirty-two letters'))).load()).toHaveLength(0);
    await expect(open(new Secret('short'))).rejects.toThrow('SHOAL_STATE_KEY has 5 characters');
  });

  it('says what is wrong with itself', async () => {
    await writeFile(join(directory, 'key'), 'short');
    await expect(open()).rejects.toThrow('has 5 bytes, a key has 32');
    await writeFile(join(directory, 'file'), '');
    const inFile = DirectoryStore.open({ directory: join(directory, 'file'), key: null, now: Date.now, log });
    await expect(inFile).rejects.toThrow('--state');
  });

  it('keeps the server going when it cannot be written', async () => {
    const store = await open();
    await rm(join(directory, 'answers'), { recursive: true });
    await store.put(record());
    expect(logged).toContain('kept in memory alone');
    await utimes(directory, 1, 1);
  });
});
