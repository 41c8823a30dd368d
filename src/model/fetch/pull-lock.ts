/** One process at a time pulls a model: two that append to one file would spoil it. Node only. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ShoalError } from '../../config/errors.ts';

/**
 * Runs `work` while `<directory>.lock` holds this process's id. The lock of a process that is gone counts for nothing.
 * @throws DOWNLOAD_FAILED where another process holds it
 */
export async function withPullLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const file = `${directory}.lock`;
  await mkdir(dirname(directory), { recursive: true });
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const holder = Number(await readFile(file, 'utf8').catch(() => ''));
    if (isRunning(holder)) {
      throw new ShoalError(
        'DOWNLOAD_FAILED',
        `process ${holder} is pulling this model already; wait for it, or remove ${file} if that is something else`,
      );
    }
    await writeFile(file, String(process.pid));
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as someone else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
