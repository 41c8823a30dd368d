import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  CATALOGUE_FILE,
  IS_PACKAGE,
  PACKAGE_ROOT,
  SHADER_FOLDER,
  startThread,
  threadEntry,
} from '../../src/config/installation.ts';

it('finds what lies beside the code in a checkout', () => {
  expect(IS_PACKAGE).toBe(false);
  for (const path of ['package.json', 'models/minnow/config.json', CATALOGUE_FILE]) {
    expect(existsSync(join(PACKAGE_ROOT, path)), path).toBe(true);
  }
  expect(existsSync(join(SHADER_FOLDER, 'step.wgsl'))).toBe(true);
  expect(threadEntry('text').href).toMatch(/\/src\/threads\/text\.ts$/);
});

it('starts a thread of TypeScript that imports TypeScript', async () => {
  const thread = startThread(new URL('../support/echo-thread.ts', import.meta.url), { question: 7 });
  const answer = await new Promise((resolve, reject) => {
    thread.once('message', resolve).once('error', reject);
  });
  expect(answer).toEqual({ workerData: { question: 7 }, imported: 'minnow' });
  await thread.terminate();
});

it('tells of a thread that is not there', async () => {
  const thread = startThread(threadEntry('no-such-thread'));
  await expect(
    new Promise((resolve, reject) => {
      thread.once('exit', resolve).once('error', reject);
    }),
  ).rejects.toThrow('no-such-thread');
});
