/**
 * One server a state directory: two would take up the same answers, and delete each other's. The holder's file says who it is, and
 * its time moves while it lives; so it shows on any file system, between containers too, and a process that was killed locks nobody out.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { STATE_LOCK_BEAT_MS, STATE_LOCK_STALE_MS } from '../../config/limits.ts';

const FILE = 'lock';
const LOOK_MS = 100;

const holderSchema = z.object({
  pid: z.number().int().positive(),
  host: z.string(),
  /** ISO 8601. */
  since: z.string(),
  /** Of one that holds it; a process id may be another's by now. */
  token: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** Of this process's own. */
const held = new Set<string>();

export interface StateLock {
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * @param staleMs a lock that stands still for so long is nobody's
 * @throws STATE_IN_USE while another server has the directory; CONFIG_INVALID where no file can be written there
 */
export async function lockState(
  directory: string,
  log: Logger,
  staleMs = STATE_LOCK_STALE_MS,
): Promise<StateLock> {
  const file = join(directory, FILE);
  const own: Holder = {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    token: randomBytes(16).toString('hex'),
  };
  const text = `${JSON.stringify(own)}\n`;
  held.add(own.token);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    while (!(await create(file, text))) await removeStale(file, directory, log, staleMs);
  } catch (error) {
    held.delete(own.token);
    if (error instanceof ShoalError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ShoalError('CONFIG_INVALID', `--state: ${file} cannot be written: ${reason}`, { cause: error });
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch((error: unknown) => {
      log.warn({ err: error }, `${file} cannot be kept: another server may take the directory`);
    });
  }, STATE_LOCK_BEAT_MS).unref();
  return {
    async release() {
      clearInterval(beat);
      if (!held.delete(own.token)) return;
      try {
        if ((await textOf(file)) === text) await unlink(file);
      } catch {
        // The next server finds that its time stands still.
      }
    },
  };
}

/** @returns false where there is one */
async function create(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a holder that is no more. @throws STATE_IN_USE where it lives */
async function removeStale(file: string, directory: string, log: Logger, staleMs: number): Promise<void> {
  const text = await textOf(file);
  if (text === null) return;
  const holder = holderOf(text);
  if (holder === null || !isDead(holder)) {
    if (holder !== null && held.has(holder.token)) throw inUse(directory, holder);
    log.info({}, `${directory} has a lock of ${nameOf(holder)}; looking whether that lives`);
    if (await isBeating(file, staleMs)) throw inUse(directory, holder);
  }
  // Renamed first: another that starts may have taken the place of what was read here, and then gets it back.
  const aside = `${file}.${randomBytes(4).toString('hex')}`;
  const isAside = await unlessGone(rename(file, aside).then(() => true));
  if (isAside === null) return;
  const taken = await textOf(aside);
  if (taken !== null && taken !== text) await create(file, taken);
  await unlink(aside).catch(() => {});
}

/** Whether its holder moves its time: clocks of two machines need not agree for that. */
async function isBeating(file: string, staleMs: number): Promise<boolean> {
  const timeOf = () => unlessGone(stat(file).then(({ mtimeMs }) => mtimeMs));
  const first = await timeOf();
  for (let waitedMs = 0; waitedMs < staleMs; waitedMs += LOOK_MS) {
    await delay(LOOK_MS);
    const time = await timeOf();
    if (time === null) return false;
    if (time !== first) return true;
  }
  return false;
}

/** As far as this machine can know. */
function isDead({ pid, host, token }: Holder): boolean {
  if (host !== hostname()) return false;
  // In a container that is started again the process often has the number that it had.
  if (pid === process.pid) return !held.has(token);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function inUse(directory: string, holder: Holder | null): ShoalError {
  return new ShoalError(
    'STATE_IN_USE',
    `--state: ${directory} is in use by ${nameOf(holder)}; stop that one, or give each server a directory of its own`,
  );
}

const nameOf = (holder: Holder | null) =>
  holder === null ? 'another server' : `process ${holder.pid} on ${holder.host}, since ${holder.since}`;

/** Null for what no holder has written, or not yet wholly. */
function holderOf(text: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Null where there is none. */
const textOf = (file: string) => unlessGone(readFile(file, 'utf8'));

function unlessGone<T>(found: Promise<T>): Promise<T | null> {
  return found.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}
