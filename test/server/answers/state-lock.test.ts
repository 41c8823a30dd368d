/** One server a state directory; one that was killed locks nobody out. With processes of their own, as it happens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockState } from '../../../src/server/answers/state-lock.ts';

const STALE_MS = 300;
const log = pino({ level: 'silent' });
const MODULE = new URL('../../../src/server/answers/state-lock.ts', import.meta.url).href;
/** Takes the directory, says so, and lives until it is killed. */
const HOLDER = `
  const { lockState } = await import(${JSON.stringify(MODULE)});
  await lockState(process.argv[1], { info() {}, warn() {} });
  console.log('held');
  setInterval(() => {}, 1_000);
`;

let directory: string;
let children: ChildProcess[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-lock-'));
  children = [];
});
afterEach(async () => {
  for (const child of children) await end(child);
  await rm(directory, { recursive: true, force: true });
});

async function hold(): Promise<ChildProcess> {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', HOLDER, directory];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout!, 'data');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** As another machine, or another container, left it. */
const leave = (over: object = {}) => {
  const holder = {
    pid: process.pid,
    host: 'elsewhere',
    since: '2026-01-01T00:00:00.000Z',
    token: 'x',
    ...over,
  };
  return writeFile(join(directory, 'lock'), JSON.stringify(holder));
};

describe('a state directory', () => {
  it('of a server that lives is refused, by name of the process and with the way out', async () => {
    const { pid } = await hold();
    await expect(lockState(directory, log)).rejects.toMatchObject({
      code: 'STATE_IN_USE',
      message: expect.stringMatching(
        new RegExp(
          `^--state: ${directory} is in use by process ${pid} on ${hostname()}, since .+; stop that one`,
        ),
      ),
    });
    // What the refused one tried has taken nothing from who holds it.
    expect(JSON.parse(await readFile(join(directory, 'lock'), 'utf8')).pid).toBe(pid);
    expect(await readdir(directory)).toEqual(['lock']);
  }, 30_000);

  it('of one that was killed is taken at once', async () => {
    await end(await hold());
    const started = performance.now();
    const lock = await lockState(directory, log);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(JSON.parse(await readFile(join(directory, 'lock'), 'utf8')).pid).toBe(process.pid);
    await lock.release();
    expect(await readdir(directory)).toEqual([]);
  }, 30_000);

  it('of this process is refused to itself, until it is given back', async () => {
    const lock = await lockState(directory, log);
    await expect(lockState(directory, log)).rejects.toMatchObject({ code: 'STATE_IN_USE' });
    await lock.release();
    await lock.release();
    const again = await lockState(directory, log);
    await again.release();
  });

  it('that a process of this number left in an earlier run of its container is taken at once', async () => {
    await leave({ host: hostname() });
    const lock = await lockState(directory, log);
    await lock.release();
  });

  it.each([
    ['another machine', {}],
    ['a process whose number another has now', { host: hostname(), pid: process.ppid }],
  ])('whose lock is of %s, and stands still, is taken after a while', async (_what, holder) => {
    await leave(holder);
    const lock = await lockState(directory, log, STALE_MS);
    expect(JSON.parse(await readFile(join(directory, 'lock'), 'utf8'))).toMatchObject({ host: hostname() });
    await lock.release();
  });

  it('whose lock cannot be read is no hindrance for ever', async () => {
    await writeFile(join(directory, 'lock'), 'torn');
    const lock = await lockState(directory, log, STALE_MS);
    await lock.release();
  });

  it('goes to one of several that start at once after a crash', async () => {
    await leave({ host: hostname() });
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockState(directory, log)));
    const held = all.filter((one) => one.status === 'fulfilled');
    expect(held).toHaveLength(1);
    for (const { value } of held) await value.release();
  });
});
