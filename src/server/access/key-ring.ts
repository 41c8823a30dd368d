import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import { KEY_FILE_RECHECK_MS, MAX_API_KEY_CHARS } from '../../config/limits.ts';
import { hashApiKey, isSameHash } from './api-key.ts';
import { readKeyFile, type StoredKey } from './key-file.ts';

/** Whose key it is, and what it may. */
export interface KeyInfo {
  readonly name: string;
  /** Absent: the server's default. */
  readonly requestsPerMinute?: number;
  /** Answers at once; absent: the server's default. */
  readonly concurrent?: number;
  /** Its holder may lend a backend to the server; absent: not. */
  readonly lend?: boolean;
}

export interface KeyRingOptions {
  readonly file: string;
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * The keys that count now. The file is looked at when a key is asked about, not by a timer: synchronously, because
 * a key that was removed must not be judged by the list of before, and it is one stat a second.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  #keys: readonly { readonly hash: Buffer; readonly info: KeyInfo }[];
  #state: string;
  #lookedAt: number;

  /** @throws CONFIG_INVALID with all that is wrong with the file */
  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#state = fileState(options.file);
    this.#keys = readKeyFile(options.file).map(toEntry);
    this.#lookedAt = options.now();
  }

  /** @returns null for a key that is not, or no longer, in the file */
  authorize(key: string): KeyInfo | null {
    this.#lookAgain();
    if (key.length > MAX_API_KEY_CHARS) return null;
    const hash = hashApiKey(key);
    let found: KeyInfo | null = null;
    // To the end in every case: how long it takes tells nothing about which key it is.
    for (const entry of this.#keys) if (isSameHash(entry.hash, hash)) found = entry.info;
    return found;
  }

  /** Reads the file at once (SIGHUP). A broken one leaves the keys as they are and is logged. */
  reload(): void {
    const { file, log, now } = this.#options;
    this.#lookedAt = now();
    this.#state = fileState(file);
    try {
      this.#keys = readKeyFile(file).map(toEntry);
      log.info({ keys: this.#keys.length }, `API keys read from ${file}`);
    } catch (thrown) {
      log.error(`API keys stay as they were: ${ShoalError.from(thrown).message}`);
    }
  }

  #lookAgain(): void {
    const { file, now } = this.#options;
    if (now() - this.#lookedAt < KEY_FILE_RECHECK_MS) return;
    this.#lookedAt = now();
    if (fileState(file) !== this.#state) this.reload();
  }
}

/** Changes with the file: a new file in its place has another inode even within one tick of the clock. */
function fileState(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? 'none' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
}

function toEntry({ name, sha256, requestsPerMinute, concurrent, lend }: StoredKey) {
  return {
    hash: Buffer.from(sha256, 'hex'),
    info: {
      name,
      ...(requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(concurrent !== undefined && { concurrent }),
      ...(lend !== undefined && { lend }),
    },
  };
}
