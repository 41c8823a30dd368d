import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';

// Each case starts Node; on a busy machine that takes seconds.
vi.setConfig({ testTimeout: 60_000 });

const SHOAL = fileURLToPath(new URL('../../bin/shoal.mjs', import.meta.url));

function shoal(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SHOAL, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

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

it('checks a configuration file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-config-'));
  try {
    const file = join(folder, 'model_backend.yaml');
    writeFileSync(file, 'backend_provider: custom\nurl: "http://127.0.0.1:8082"\napi_key: "secret-key"\n');
    expect(shoal('config', 'check', file)).toEqual({
      status: 0,
      stdout: `${file}: custom at http://127.0.0.1:8082\n`,
      stderr: '',
    });
    writeFileSync(file, 'backend_provider: fxn\n');
    expect(shoal('config', 'check', file).stdout).toMatch(/: fxn, model minnow in .*minnow\n$/);
    writeFileSync(file, 'fxn_id: minow\n');
    expect(shoal('config', 'check', file).stderr).toMatch(/MODEL_NOT_FOUND: .*minnow/);
    writeFileSync(file, 'backend_provider: vllm\n');
    expect(shoal('config', 'check', file).stderr).toMatch(/CONFIG_INVALID: .*vllm/);
    writeFileSync(file, 'backend_provider: custom\n');
    const { status, stderr } = shoal('config', 'check', file);
    expect(status).toBe(1);
    expect(stderr).toContain(`CONFIG_INVALID: ${file}:1:`);
  } finally {
    rmSync(folder, { recursive: true });
  }
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
