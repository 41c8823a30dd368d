import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type Actions, type ChatFlags, createProgram, runProgram } from '../../src/cli/program.ts';

// Each case starts Node; on a busy machine that takes seconds.
vi.setConfig({ testTimeout: 60_000 });

const SHOAL = fileURLToPath(new URL('../../bin/shoal.mjs', import.meta.url));

function shoalIn(env: NodeJS.ProcessEnv, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SHOAL, ...args], { encoding: 'utf8', env });
  return { status, stdout, stderr };
}
const shoal = (...args: string[]) => shoalIn(process.env, ...args);

it.each([
  [['up', '--workers', '0'], /--workers.*whole number from 1/],
  [['up', '--once'], /--once needs a question/],
  [['up', '--raw', 'x'], /--raw completes its text once/],
  [['serve', '--port', '70000'], /--port.*65535/],
  [['worker', '--server', 'localhost'], /--server.*http:\/\//],
  [['serve', '--ice-server', 'turn:relay.test:3478'], /--ice-server.*user,credential/],
  [['swim'], /unknown command 'swim'/],
])('refuses %j with exit code 2', (args, reason) => {
  const { status, stdout, stderr } = shoal(...args);
  expect(stderr).toMatch(reason);
  expect(stdout).toBe('');
  expect(status).toBe(2);
});

it('prints help on stdout', () => {
  expect(shoal('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('worker') });
});

it('tells an unreachable server in one line, without a stack', () => {
  const { status, stderr } = shoal('chat', 'hello', '--server', 'http://127.0.0.1:1');
  expect(stderr).toBe(
    'shoal: BACKEND_FAILED: http://127.0.0.1:1 cannot be reached; is the server running there?\n',
  );
  expect(status).toBe(1);
});

it('takes a question without quotes', async () => {
  const asked: unknown[] = [];
  const chat = async (question: string | undefined, { seed }: ChatFlags) => void asked.push([question, seed]);
  const actions = { chat } as Partial<Actions> as Actions;
  for (const args of [[], ['one two'], ['What', 'is', 'this?', '--seed', '1']])
    expect(await runProgram(createProgram(actions), ['chat', ...args])).toBe(0);
  expect(asked).toEqual([
    [undefined, undefined],
    ['one two', undefined],
    ['What is this?', 1],
  ]);
});

describe('config check', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-config-'));
  const file = join(folder, 'model_backend.yaml');
  afterAll(() => rmSync(folder, { recursive: true }));

  function check(content: string, env: NodeJS.ProcessEnv = {}) {
    writeFileSync(file, content);
    const { status, stdout, stderr } = shoalIn({ ...process.env, ...env }, 'config', 'check', file);
    return { status, stdout, stderr };
  }

  it('prints what would run, with secrets masked, and warnings', () => {
    const { status, stdout, stderr } = check(
      'backend_provider: custom\nfxn_id: big\nmodel_name_alias: llama3\napi_key: "secret-key"\nallow_addresses: ["10.0.0.0/8"]\n' +
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation for a variable
        'nodes:\n  - { url: "http://127.0.0.1:8082", max_concurrent: 4 }\n  - { url: "http://gpu.example/v1/", bearer_token: "${TOKEN}" }\n',
      { TOKEN: 'secret-token' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      `${file}: backend_provider custom`,
      '',
      '  clients say  big',
      '  2 nodes      http://127.0.0.1:8082  hears llama3  api_key ***                    4 requests at once',
      '               http://gpu.example/v1  hears llama3  api_key ***, bearer_token ***  1024 requests at once',
      '  addresses    this machine where a url says so, public ones, 10.0.0.0/8',
      '  time limits  connect 10 s, first byte 120 s, silence 60 s',
      '',
      expect.stringMatching(/^! .*:8:12: nodes\[1\]\.url: is http, so the key/),
      '✓ no fault, 1 warning',
      '',
    ]);
  });

  it('opens the model of fxn', () => {
    const { status, stdout } = check('backend_provider: fxn\n');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /model {4}minnow\n {2}files .*minnow\n {2}weights {2}native.*\n {2}layers {3}\d+, /,
    );
    expect(check('fxn_id: minow\n')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/MODEL_NOT_FOUND: .*minnow/),
    });
  });

  it('prints all faults at once, each on its line, and exits with 1', () => {
    expect(check('backend_provider: custom\napi_kee: x\nurl: "http://10.0.0.5"\n')).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^shoal: CONFIG_INVALID:\n\S+:2:1: api_kee: .*\n\S+:3:6: url: .*allow_addresses: \["10\.0\.0\.5"\]\n$/,
      ),
    });
  });
});

it('doctor ends with 1 where something that is needed fails, and tells programs what', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-doctor-'));
  try {
    const file = join(folder, 'mb.yaml');
    writeFileSync(file, 'backend_provider: custom\nurl: "http://127.0.0.1:1"\n');
    const { status, stdout, stderr } = shoal(
      'doctor',
      '--config',
      file,
      '--server',
      'http://127.0.0.1:1',
      '--json',
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^shoal: CHECK_FAILED: server, backend: /);
    const report = JSON.parse(stdout);
    expect(report.ok).toBe(false);
    expect(report.checks).toContainEqual({
      name: 'backend',
      state: 'failure',
      detail: 'nothing listens on port 1 of 127.0.0.1',
      remedy: expect.stringContaining('start the server'),
    });
    expect(report.checks).toContainEqual(expect.objectContaining({ name: 'Node', state: 'ok' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('lists the catalogue with sizes, and says what of it is here', () => {
  const { status, stdout } = shoal('pull');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^✓ {2}minnow .*\d\.\d MB {2}.*apache-2\.0/);
  const models = stdout.trim().split('\n').slice(0, -1);
  for (const line of models) expect(line).toMatch(/ \d+\.\d+ [GM]B {2}/);
  expect(stdout).toContain('llama-3.1-8b');
});

it('makes, lists and removes API keys; only the key itself is on stdout', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-keys-'));
  try {
    const file = join(folder, 'keys.json');
    const made = shoal('keys', 'add', 'alice', '--file', file, '--concurrent', '2');
    expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/^sk-shoal-[\w-]{43}\n$/) });
    expect(readFileSync(file, 'utf8')).not.toContain(made.stdout.trim());
    expect(shoal('keys', 'list', '--file', file).stdout).toMatch(/^alice {2}\d{4}-\d\d-\d\d {2}2 at once\n$/);
    expect(shoal('keys', 'remove', 'alice', '--file', file).status).toBe(0);
    expect(shoal('keys', 'list', '--file', file).stdout).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
