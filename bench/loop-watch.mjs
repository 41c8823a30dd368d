/**
 * How late the loop of this thread is, and why: whatever waits for it waits so long. A timer that should come every TICK_MS is
 * late by what the thread itself did in between (`ran`: its own time on a core), or because it had no core, which is the
 * machine's doing (`starved`: Linux's count of its time in a run queue). Elsewhere than on Linux both are null.
 */
import { openSync, readSync } from 'node:fs';

const TICK_MS = 5;

/** @typedef {{ readonly late: number, readonly ran: number | null, readonly starved: number | null }} Lateness milliseconds */

/** Of the process's main thread. @returns ends a stretch and begins the next: the times between two ticks of the one that ended */
export function watchLoop() {
  const clocks = threadClocks();
  /** @type {Lateness[]} */
  const ticks = [];
  let last = performance.now();
  let before = clocks();
  setInterval(() => {
    const now = performance.now();
    const after = clocks();
    ticks.push({
      late: Math.max(0, now - last - TICK_MS),
      ran: before && after && after.ran - before.ran,
      starved: before && after && after.starved - before.starved,
    });
    last = now;
    before = after;
  }, TICK_MS).unref();
  return () => ticks.splice(0);
}

/** @returns {() => { ran: number, starved: number } | null} */
function threadClocks() {
  /** @type {number} */
  let file;
  try {
    file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  } catch {
    return () => null;
  }
  const bytes = Buffer.alloc(64);
  return () => {
    const [ran, starved] = bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, 0)).split(' ');
    return { ran: Number(ran) / 1e6, starved: Number(starved) / 1e6 };
  };
}
