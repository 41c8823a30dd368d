import { afterEach, expect, it, vi } from 'vitest';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';
import { until } from '../support/until.ts';

vi.setConfig({ testTimeout: 60_000 });

let run: ShoalRun;

async function start(...args: string[]): Promise<void> {
  run = runShoal(args, ['node', '--import', 'tsx', 'test/support/scoped-command.ts']);
  await until(() => run.output.stdout.includes('runs\n') || run.child.exitCode !== null);
}
afterEach(async () => {
  if (run.child.exitCode === null) run.child.kill('SIGKILL');
  await run.ended;
});

it('SIGHUP ends a command that follows nothing; what it opened is closed in reverse order, and not for ever', async () => {
  await start();
  run.child.kill('SIGHUP');
  expect(await run.ended).toBe(0);
  expect(run.output.stdout).toBe('runs\nclosed last opened\nclosed first opened\n');
});

it('SIGHUP tells a command that follows its file, again and again, and does not end it', async () => {
  await start('--follows');
  for (const times of [1, 2]) {
    run.child.kill('SIGHUP');
    await until(() => run.output.stdout.split('hung up').length === times + 1);
  }
  expect(run.child.exitCode).toBeNull();
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
});
