/**
 * Chrome's profile: a folder that lives as long as the browser. Its name holds the process that made it, so that one which was killed
 * outright leaves nothing behind for longer than until the next start.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../../config/errors.ts';
import { MAX_TMPDIR_BYTES } from '../../config/limits.ts';
import { asUser } from './browser-user.ts';

const PREFIX = 'shoal-chrome-';
/** The process, when it started where that is known, and what mkdtemp adds. */
const NAME = /^shoal-chrome-(\d+)(?:-([0-9a-f]{8}))?-\w{6}$/;

export interface BrowserProfile {
  readonly folder: string;
  /** For Chrome's own temporary files: the profile itself, which takes them with it, unless its path is too long. */
  readonly temporary: string;
  remove(): void;
}

/**
 * @param owner whom Chrome runs as, where that is somebody else
 * @throws NO_BROWSER where the path would be too long for Chrome's socket
 */
export function createProfile(
  owner: { uid: number; gid: number } | null,
  temporary = temporaryFolder(),
): BrowserProfile {
  removeLeftProfiles(temporary);
  const start = startOf(process.pid);
  const owning = start === null ? `${process.pid}` : `${process.pid}-${start}`;
  const folder = mkdtempSync(join(temporary, `${PREFIX}${owning}-`));
  if (owner !== null) chownSync(folder, owner.uid, owner.gid);
  return {
    folder,
    temporary: isShort(folder) ? folder : temporary,
    remove: () => removeFolder(folder),
  };
}

/**
 * The system's, unless Chrome's socket below it would have a longer path than sockets may have; then /tmp.
 * @throws NO_BROWSER where neither will do
 */
export function temporaryFolder(named = tmpdir(), plain = '/tmp'): string {
  const folder = [named, plain].find((candidate) => existsSync(candidate) && isShort(candidate));
  if (folder !== undefined) return folder;
  throw new ShoalError(
    'NO_BROWSER',
    `the folder for temporary files, ${named}, has a path of ${Buffer.byteLength(named)} bytes; the socket that Chrome makes below it leaves room for ${MAX_TMPDIR_BYTES}; set TMPDIR to a short one, such as /tmp`,
  );
}

/** Windows has no such socket. */
const isShort = (folder: string) =>
  process.platform === 'win32' || Buffer.byteLength(folder) <= MAX_TMPDIR_BYTES;

/** Those of processes that are no more. */
export function removeLeftProfiles(temporary: string): void {
  for (const name of readdirSync(temporary)) {
    const [, digits, start = null] = NAME.exec(name) ?? [];
    if (digits === undefined || isOwnerRunning(Number(digits), start)) continue;
    if (isInUse(join(temporary, name))) continue;
    try {
      removeFolder(join(temporary, name));
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

/** Chrome's last processes may still write while they end. */
const EMPTY = 'for i in 1 2 3 4 5; do rm -rf -- "$1"; [ -z "$(ls -A -- "$1")" ] && exit; sleep 0.1; done';

/**
 * Root empties another user's folder as that user: who owns a folder can exchange what is in it for links elsewhere, while
 * it is being removed.
 */
function removeFolder(folder: string): void {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) return;
  const { uid, gid } = found;
  if (process.getuid?.() !== 0 || uid === 0) {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    return;
  }
  const [shell, ...args] = asUser({ uid, gid, groups: [] }, ['sh', '-c', EMPTY, 'sh', folder]);
  spawnSync(shell!, args, { stdio: 'ignore' });
  try {
    // Where that user may not take it out of the folder that it is in.
    if (existsSync(folder)) rmdirSync(folder);
  } catch {
    // What is not that user's, or is locked, stays.
  }
}

/**
 * Chrome's own lock is a link to `<host>-<process>`. Containers that share a folder have hosts and processes of their own, so that
 * a number that is free here says nothing there.
 */
function isInUse(profile: string): boolean {
  let lock: string;
  try {
    lock = readlinkSync(join(profile, 'SingletonLock'));
  } catch {
    return false;
  }
  const at = lock.lastIndexOf('-');
  const pid = Number(lock.slice(at + 1));
  return lock.slice(0, at) !== hostname() || (Number.isSafeInteger(pid) && isRunning(pid));
}

/** Numbers come again: in a container that is started anew the next process often has the one of that which was killed. */
function isOwnerRunning(pid: number, start: string | null): boolean {
  if (!Number.isSafeInteger(pid)) return true;
  if (!isRunning(pid)) return false;
  const present = startOf(pid);
  return start === null || present === null || start === present;
}

/** Tells a process from others that had its number, or have it after a restart of the machine; null where the system does not say. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): `pid (name) state …`; the name may hold anything, the start is the 22nd field.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return createHash('sha256').update(`${boot} ${ticks}`).digest('hex').slice(0, 8);
  } catch {
    return null;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
