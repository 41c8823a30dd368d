import { execFileSync } from 'node:child_process';

const CHECK_MS = 1_000;

/**
 * npm waits for its script; when it was killed nobody can press Ctrl-C any more, and the script has to notice by itself.
 * A command that was started by hand may well outlive its shell, so nothing is watched there.
 */
export function onNpmGone(onGone: () => void): void {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return;
  const ancestors = npmAncestors();
  setInterval(() => {
    if (!ancestors.every(isAlive)) onGone();
  }, CHECK_MS).unref();
}

/** npm runs `sh -c "node …"`: some shells stay in between, others become the script. */
function npmAncestors(): number[] {
  const parent = process.ppid;
  try {
    const [, above, name] = /^\s*(\d+)\s+(.*)$/.exec(
      execFileSync('ps', ['-o', 'ppid=,comm=', '-p', String(parent)], { encoding: 'utf8' }).trim(),
    ) ?? ['', '', ''];
    return /sh$/.test(name ?? '') ? [parent, Number(above)] : [parent];
  } catch {
    // Slim images have no ps.
    return [parent];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
