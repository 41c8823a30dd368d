import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { REPEATED_SIGNAL_MS } from '../../src/config/limits.ts';
import { HeldBackend } from '../support/held-server.ts';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';
import { until } from '../support/until.ts';

/** A process that starts from TypeScript, on a machine that may be busy. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let directory: string;
let file: string;
let first: HeldBackend;
let second: HeldBackend;
let run: ShoalRun;

const yaml = ({ url }: HeldBackend) =>
  `backend_provider: custom\nurl: "${url}"\napi_key: "sk-not-to-be-seen"\n`;

/** As editors do. */
async function replaceFile(text: string): Promise<void> {
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}

async function serve(...args: string[]): Promise<string> {
  run = runShoal(['serve', '--port', '0', '--config', file, ...args]);
  await until(() => /API http/.test(run.output.stderr) || run.child.exitCode !== null);
  const url = /API (http:\/\/\S+)\/v1/.exec(run.output.stderr)?.[1];
  if (url === undefined) throw new Error(`no server:\n${run.output.stderr}`);
  return url;
}

const ask = (url: string, model: string, stream: boolean) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
  });
const answerOf = async (url: string, model: string) =>
  (await (await ask(url, model, false)).json()).choices[0].message.content;
const isWhole = (text: string, name: string) =>
  text.includes(`${name}: first`) && text.includes(', last') && text.endsWith('data: [DONE]\n\n');
const count = (text: string) => run.output.stderr.split(text).length - 1;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-serve-'));
  file = join(directory, 'model_backend.yaml');
  [first, second] = await Promise.all([HeldBackend.start('first'), HeldBackend.start('second')]);
  await writeFile(file, yaml(first));
});
afterEach(async () => {
  if (run.child.exitCode === null && run.child.signalCode === null) run.child.kill('SIGKILL');
  await run.ended;
  await Promise.all([first.close(), second.close(), rm(directory, { recursive: true })]);
});

describe('shoal serve', () => {
  it('follows its file and SIGHUP without dropping a stream, and keeps what runs when the file is broken', async () => {
    const url = await serve();
    const across = await ask(url, 'first', true);
    await replaceFile(yaml(second));
    await until(() => count('the new configuration runs') === 1);
    expect(await answerOf(url, 'second')).toBe('second');
    expect(first.streams[0]!.isOpen()).toBe(true);
    first.streams[0]!.finish();
    expect(isWhole(await across.text(), 'first')).toBe(true);

    await replaceFile('backend_provider: custom\nurl: nonsense\n');
    await until(() => count('was not applied') === 1);
    expect(run.output.stderr).toContain(`${file}:2:6: url: `);
    expect(await answerOf(url, 'second')).toBe('second');

    run.child.kill('SIGHUP');
    await until(() => count('was not applied') === 2);
    await replaceFile(yaml(second));
    run.child.kill('SIGHUP');
    await until(() => count('means what runs already') === 1);
    expect(run.child.exitCode).toBeNull();
    expect(run.output.stderr).not.toContain('not-to-be-seen');

    const last = await ask(url, 'second', true);
    run.child.kill('SIGTERM');
    await until(() => count('finishing what is on its way') === 1);
    second.streams[0]!.finish();
    expect(isWhole(await last.text(), 'second')).toBe(true);
    expect(await run.ended).toBe(0);
  });

  it('on Ctrl-C, as on SIGTERM, finishes its streams, takes nothing new, and ends with 0', async () => {
    const url = await serve();
    const stream = await ask(url, 'first', true);
    run.child.kill('SIGINT');
    await until(() => count('finishing what is on its way') === 1);
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    const refused = await ask(url, 'first', false);
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
    first.streams[0]!.finish();
    expect(isWhole(await stream.text(), 'first')).toBe(true);
    expect(await run.ended).toBe(0);
  });

  it('ends a stream that takes longer than --drain-timeout with an error event', async () => {
    const url = await serve('--drain-timeout', '1');
    const stream = await ask(url, 'first', true);
    run.child.kill('SIGTERM');
    const text = await stream.text();
    expect(text).toContain('first: first');
    expect(text).toContain('"code":"shutting_down"');
    expect(await run.ended).toBe(0);
  });

  it('ends at once on a second signal', async () => {
    const url = await serve();
    const stream = await ask(url, 'first', true);
    run.child.kill('SIGTERM');
    await until(() => count('finishing what is on its way') === 1);
    // Sooner it would count as npm's repetition of the first.
    await new Promise((resolve) => setTimeout(resolve, 1.2 * REPEATED_SIGNAL_MS));
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(128 + 15);
    await expect(stream.text()).rejects.toThrow();
  });
});
