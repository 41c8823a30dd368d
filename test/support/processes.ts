import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface RunningProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly command: string;
}

/** Every process below `root`, children of children included; `ps` itself and zombies are left out. */
export function descendants(root: number): RunningProcess[] {
  const all = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line);
      if (match === null || match[3]!.startsWith('Z') || match[4]!.startsWith('ps -A')) return [];
      return [{ pid: Number(match[1]), ppid: Number(match[2]), command: match[4]! }];
    });
  const found: RunningProcess[] = [];
  const parents = [root];
  for (let parent = parents.shift(); parent !== undefined; parent = parents.shift()) {
    for (const child of all.filter(({ ppid }) => ppid === parent)) {
      found.push(child);
      parents.push(child.pid);
    }
  }
  return found;
}

/** The tab processes of a Chrome below `root`, one of which may be a spare without a page. */
export function renderers(root: number): RunningProcess[] {
  return descendants(root).filter(({ command }) => command.includes('--type=renderer'));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until `condition` holds; the deadline only bounds a failure. */
export async function until(what: string, condition: () => boolean, deadlineMs = 60_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await delay(50);
  }
}
