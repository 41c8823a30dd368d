/**
 * Answers in a directory, a sealed file each. A file is written beside its place and renamed into it, so that it is there whole or
 * not at all; one that was torn by a power failure does not open, and is as if it were not there.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import { MAX_KEPT_ANSWERS, MAX_STORED_ANSWER_AGE_MS, MAX_STORED_ANSWER_BYTES } from '../../config/limits.ts';
import type { Secret } from '../../config/secret.ts';
import { type AnswerRecord, decodeRecord, encodeRecord } from './answer-record.ts';
import type { AnswerStore } from './answer-store.ts';
import { SEAL_BYTES, seal, unseal } from './sealed.ts';
import { openStateKey } from './state-key.ts';

export interface DirectoryStoreOptions {
  readonly directory: string;
  /** SHOAL_STATE_KEY. */
  readonly key: Secret | null;
  /** Unix ms. */
  readonly now: () => number;
  readonly log: Logger;
}

const FOLDER = 'answers';
const FINISHED = /^[A-Za-z0-9_-]{22}\.answer$/;
const DRAFT = /^[A-Za-z0-9_-]{22}\.[0-9a-f]{8}\.draft$/;
const fileOf = (id: string) => `${id}.answer`;

export class DirectoryStore implements AnswerStore {
  readonly #folder: string;
  readonly #key: Buffer;
  readonly #now: () => number;
  readonly #log: Logger;
  /** One after the other for each answer: the newest wins. */
  readonly #writing = new Map<string, Promise<void>>();

  /** @throws CONFIG_INVALID for a directory or key that cannot be used */
  static async open({ directory, key, now, log }: DirectoryStoreOptions): Promise<DirectoryStore> {
    const folder = join(directory, FOLDER);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ShoalError('CONFIG_INVALID', `--state: ${folder} cannot be made: ${reason}`, { cause });
    }
    return new DirectoryStore(folder, await openStateKey(directory, key), now, log);
  }

  private constructor(folder: string, key: Buffer, now: () => number, log: Logger) {
    this.#folder = folder;
    this.#key = key;
    this.#now = now;
    this.#log = log;
  }

  /** A key for another use, that is there again after a restart: 32 bytes. */
  keyFor(use: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#key, '', use, this.#key.length));
  }

  put(record: AnswerRecord): Promise<void> {
    const { id } = record.identity;
    return this.#next(id, async () => {
      const plain = encodeRecord(record);
      if (plain.length > MAX_STORED_ANSWER_BYTES) {
        this.#log.warn(
          { bytes: plain.length },
          'an answer is too large to be stored; it is kept in memory alone',
        );
        await this.#delete(fileOf(id));
        return;
      }
      const draft = join(this.#folder, `${id}.${randomBytes(4).toString('hex')}.draft`);
      await writeFile(draft, seal(this.#key, id, plain), { mode: 0o600, flag: 'wx' });
      await rename(draft, join(this.#folder, fileOf(id)));
    });
  }

  remove(id: string): Promise<void> {
    return this.#next(id, () => this.#delete(fileOf(id)));
  }

  async load(): Promise<AnswerRecord[]> {
    const names = await readdir(this.#folder);
    const records: AnswerRecord[] = [];
    let foreign = 0;
    for (const name of names) {
      if (DRAFT.test(name)) await this.#delete(name);
      else if (!FINISHED.test(name)) foreign++;
      else if (records.length >= MAX_KEPT_ANSWERS) await this.#delete(name);
      else {
        const record = await this.#read(name);
        if (record !== null) records.push(record);
      }
    }
    if (foreign > 0)
      this.#log.warn(
        { files: foreign },
        `${this.#folder} has files that are no answers; they are left alone`,
      );
    return records.sort((a, b) => (a.end?.endedAt ?? a.begunAt) - (b.end?.endedAt ?? b.begunAt));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writing.values());
  }

  async #read(name: string): Promise<AnswerRecord | null> {
    const file = join(this.#folder, name);
    const id = name.slice(0, -'.answer'.length);
    try {
      const { size, mtimeMs } = await stat(file);
      try {
        if (size > MAX_STORED_ANSWER_BYTES + SEAL_BYTES) throw new Error(`it has ${size} bytes`);
        const record = decodeRecord(unseal(this.#key, id, await readFile(file)));
        if (record.identity.id !== id) throw new Error('it is of another answer');
        return record;
      } catch (thrown) {
        const reason = thrown instanceof Error ? thrown.message.slice(0, 200) : 'unknown';
        const isOld = this.#now() - mtimeMs > MAX_STORED_ANSWER_AGE_MS;
        this.#log.warn(
          `a stored answer cannot be read, ${isOld ? 'and is removed' : 'and stays for an hour'}: ${reason}`,
        );
        if (isOld) await this.#delete(name);
      }
    } catch {
      // Gone meanwhile, or not ours to look at.
    }
    return null;
  }

  #next(id: string, act: () => Promise<void>): Promise<void> {
    const done = (this.#writing.get(id) ?? Promise.resolve()).then(act).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'an answer could not be stored; it is kept in memory alone');
    });
    this.#writing.set(id, done);
    void done.then(() => {
      if (this.#writing.get(id) === done) this.#writing.delete(id);
    });
    return done;
  }

  async #delete(name: string): Promise<void> {
    await unlink(join(this.#folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}
