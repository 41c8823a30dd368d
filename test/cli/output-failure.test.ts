import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { afterOutput } from '../../src/cli/output-failure.ts';
import { until } from '../support/until.ts';

// Each case starts Node; on a busy machine that takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const SHOAL = fileURLToPath(new URL('../../bin/shoal.mjs', import.meta.url));
/** 128 + SIGPIPE, as a shell shows it of `yes | head -1`. */
const CUT = 141;

const folder = mkdtempSync(join(tmpdir(), 'shoal-output-'));
const configFile = join(folder, 'model_backend.yaml');
const keyFile = join(folder, 'keys.json');
const event = (chunk: object) => `data: ${JSON.stringify(chunk)}\n\n`;
const served = createServer((request, response) => {
  if (request.url === '/v1/models') response.end('{"data":[{"id":"m"}]}');
  else if (request.url === '/api/status')
    response.end(
      '{"provider":"custom","ready":true,"detail":"here","model":null,"pipeline":null,"workers":[],"nodes":[],"requestsInFlight":0}',
    );
  else
    response.end(
      `${event({ choices: [{ delta: { content: 'text' }, finish_reason: 'stop' }] })}data: [DONE]\n\n`,
    );
});
let url: string;

beforeAll(async () => {
  writeFileSync(configFile, 'backend_provider: custom\nurl: "http://127.0.0.1:1"\n');
  writeFileSync(keyFile, '{"keys":[]}');
  await new Promise<void>((resolve) => served.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(served.address() as AddressInfo).port}`;
});
afterAll(() => {
  served.close();
  rmSync(folder, { recursive: true });
});

type Stream = 'closed' | 'full' | 'read';

/** Where the log that would tell it is lost. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Runs the command with streams of which nobody takes anything, or whose disk is full. */
async function run(args: readonly string[], stdout: Stream, stderr: Stream = 'read') {
  const stdio = (stream: Stream) => (stream === 'full' ? openSync('/dev/full', 'w') : 'pipe');
  const child = spawn(process.execPath, [SHOAL, ...args], {
    cwd: folder,
    stdio: ['ignore', stdio(stdout), stdio(stderr)],
    env: { ...process.env, NO_COLOR: '1' },
  });
  if (stdout === 'closed') child.stdout!.destroy();
  if (stderr === 'closed') child.stderr!.destroy();
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (piece: string) => {
      text[name] += piece;
    });
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  return { child, ended, text };
}

/** One of every kind: help of the parser, a list, a check, a document, a streamed answer, findings as they come. */
const commands = (): [string, string[]][] => [
  ['--help', ['--help']],
  ['serve --help', ['serve', '--help']],
  ['pull', ['pull']],
  ['config check', ['config', 'check', configFile]],
  ['keys add', ['keys', 'add', `n${Math.random().toString(36).slice(2)}`, '--file', join(folder, 'k.json')]],
  ['status', ['status', '--server', url]],
  ['status --json', ['status', '--server', url, '--json']],
  ['chat', ['chat', 'Hi', '--server', url]],
  ['doctor', ['doctor', '--config', configFile, '--server', url]],
  ['doctor --json', ['doctor', '--config', configFile, '--server', url, '--json']],
];
const NAMES = commands().map(([name]) => name);
const argumentsOf = (name: string) => commands().find(([found]) => found === name)![1];

describe.runIf(existsSync('/dev/full'))('output', () => {
  it.each(NAMES)('of %s that is cut ends it quietly', async (name) => {
    const { ended, text } = await run(argumentsOf(name), 'closed');
    expect([await ended, text.stderr.replace(/^The key of .*\n/, '')]).toEqual([CUT, '']);
  });

  it.each(NAMES)('of %s to a full disk is told, and is no success', async (name) => {
    const { ended, text } = await run(argumentsOf(name), 'full');
    expect(await ended).toBe(1);
    expect(text.stderr).toMatch(
      /^shoal: OUTPUT_LOST: the output could not be written to stdout: ENOSPC.*\n$/m,
    );
  });

  it('of a fault that cannot be told leaves the exit code, whichever stream is full', async () => {
    for (const stdout of ['read', 'full'] as const) {
      const usage = await run(['swim'], stdout, 'full');
      expect(await usage.ended).toBe(2);
      const failed = await run(['status', '--server', 'http://127.0.0.1:1'], stdout, 'full');
      expect([await failed.ended, failed.text.stdout]).toEqual([1, '']);
    }
  });

  it.each(['json', 'pretty'])('a %s log to a full disk ends no server, and is no success', async (format) => {
    const port = await freePort();
    process.env.SHOAL_LOG = format;
    const { child, ended } = await run(
      ['serve', '--config', configFile, '--port', String(port)],
      'read',
      'full',
    ).finally(() => delete process.env.SHOAL_LOG);
    let status = 0;
    await until(() => {
      void fetch(`http://127.0.0.1:${port}/health/live`).then(
        (response) => {
          status = response.status;
        },
        () => {},
      );
      return status === 200 || child.exitCode !== null;
    });
    expect(status).toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toBe(1);
  });
});

it('the sentence and the exit code of what is lost win over those of what is cut', () => {
  const failure = (name: 'stdout' | 'stderr', code: string) => ({
    name,
    cause: Object.assign(new Error(code), { code }),
  });
  expect(afterOutput(0, [])).toEqual({ exitCode: 0, error: null });
  expect(afterOutput(1, [failure('stdout', 'EPIPE')])).toEqual({ exitCode: CUT, error: null });
  expect(afterOutput(0, [failure('stderr', 'EPIPE')])).toEqual({ exitCode: 0, error: null });
  expect(afterOutput(0, [failure('stdout', 'EPIPE'), failure('stderr', 'EIO')])).toMatchObject({
    exitCode: 1,
    error: { code: 'OUTPUT_LOST' },
  });
  expect(afterOutput(2, [failure('stdout', 'ENOSPC')]).exitCode).toBe(2);
});
