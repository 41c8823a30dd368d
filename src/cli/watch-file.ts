/**
 * Tells when a file was changed, however that happens: written in place, replaced by a rename (editors, `sed -i`), or
 * reached through a symlink that is swapped (Kubernetes swaps `..data` beside it). Its directory is watched, because a
 * watch on the file stays with the old inode; a slow look at the file covers what the system does not report.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CONFIG_POLL_MS, CONFIG_SETTLE_MS } from '../config/limits.ts';
import { systemTimers, type Timers } from '../mesh/timers.ts';

export interface WatchFileOptions {
  readonly timers?: Timers;
  /** For tests. @returns stops watching */
  readonly watchDirectory?: (directory: string, onEvent: () => void) => () => void;
  /** Differs where the file does; empty where there is none. */
  readonly fingerprint?: (file: string) => Promise<string>;
}

/**
 * Calls `onChange` when the file is another than at the last call (at first: than now) and has been left alone for
 * CONFIG_SETTLE_MS. A file that is gone is no change; one that comes back is.
 * @returns stops; no call follows
 */
export function watchFile(file: string, onChange: () => void, options: WatchFileOptions = {}): () => void {
  const { timers = systemTimers, watchDirectory = watchWithNode, fingerprint = statFingerprint } = options;
  let isStopped = false;
  let cancelSettle = () => {};
  let cancelPoll = () => {};
  const ignore = () => {};
  let known = fingerprint(file);

  /** Reads twice, a moment apart: what is still being written differs. */
  const settle = () => {
    cancelSettle();
    cancelSettle = timers.after(CONFIG_SETTLE_MS, () => void look());
  };
  let last: string | null = null;
  const look = async () => {
    const before = await known;
    const now = await fingerprint(file);
    if (isStopped) return;
    const isSettled = now === last;
    last = now;
    if (now === before || now === '') return;
    if (!isSettled) return settle();
    known = Promise.resolve(now);
    onChange();
  };
  const poll = () => {
    cancelPoll = timers.after(CONFIG_POLL_MS, () => {
      void look().finally(() => {
        if (!isStopped) poll();
      });
    });
  };

  known.catch(ignore);
  const stopWatching = watchDirectory(dirname(resolve(file)), settle);
  poll();
  return () => {
    isStopped = true;
    cancelSettle();
    cancelPoll();
    stopWatching();
  };
}

/** Follows symlinks, so that a swapped one differs. */
async function statFingerprint(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}`;
  } catch {
    return '';
  }
}

function watchWithNode(directory: string, onEvent: () => void): () => void {
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(directory, { persistent: false }, onEvent);
    // A directory that is removed, or a system without a free watch: the poll goes on.
    watcher.on('error', () => watcher?.close());
  } catch {
    // The same, at once.
  }
  return () => watcher?.close();
}
