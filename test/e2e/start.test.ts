import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { descendants, isAlive, renderers, until } from '../support/processes.ts';
import { hasPseudoTerminals, runAtTerminal } from '../support/pseudo-terminal.ts';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';

/** The page has to be built: `npm test` does so first. */
const QUESTION = 'What is the capital of Japan?';
const runs: ShoalRun[] = [];

function shoal(...args: string[]): ShoalRun {
  const run = runShoal(args);
  runs.push(run);
  return run;
}

afterEach(async () => {
  for (const { child, ended } of runs.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 15_000))]);
  }
});

const isReady = ({ output, child }: ShoalRun) => {
  if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}:\n${output.stderr}`);
  return output.stderr.includes('ready; Ctrl-C');
};

describe('--once', () => {
  it.each([1, 2, 3])(
    'prints the answer of %i workers alone on stdout and leaves no process',
    async (workers) => {
      const run = shoal('up', '--port', '0', '--workers', String(workers), '--once', QUESTION);
      await until(
        'the browser runs',
        () => renderers(run.pid).length >= workers || run.child.exitCode !== null,
      );
      const processes = descendants(run.pid);
      expect(await run.ended, run.output.stderr).toBe(0);
      expect(run.output.stdout).toBe('The capital of Japan is Tokyo.\n');
      await until('every process is gone', () => !processes.some(({ pid }) => isAlive(pid)), 10_000);
    },
  );

  // As far as the recorded text, which shows special tokens, holds none.
  it.each([
    ['odd-llama', 40],
    ['odd-llama-stories', 8],
  ])('completes raw text with %s, a directory without a chat template', async (model, tokens) => {
    const directory = `test/fixtures/${model}`;
    const { greedy } = JSON.parse(readFileSync(`${directory}/reference.json`, 'utf8'));
    const [{ prompt, text }] = greedy;
    const args = ['up', '--port', '0', '--workers', '2', '--model', directory];
    const raw = shoal(...args, '--once', '--raw', prompt, '--max-tokens', String(tokens));
    expect(await raw.ended, raw.output.stderr).toBe(0);
    const completed = raw.output.stdout.slice(0, -1);
    expect(completed.length).toBeGreaterThan(tokens / 2);
    // The text's end may cut a character in two.
    expect(text.startsWith(completed.replace(/\ufffd+$/, ''))).toBe(true);

    const asked = shoal(...args, '--once', 'Hello');
    expect(await asked.ended).toBe(1);
    expect(asked.output.stdout).toBe('');
    expect(asked.output.stderr).toMatch(/shoal: CHAT_TEMPLATE_MISSING: .*--raw/);
  });

  // A lender that comes back makes the server ready before its own mesh is.
  it('waits for its own mesh where a backend is lent first, and asks that', async () => {
    const backend = createHttpServer((_request, response) => response.end('{"data":[{"id":"a-lent-one"}]}'));
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const config = join(mkdtempSync(join(tmpdir(), 'shoal-lent-')), 'model_backend.yaml');
    writeFileSync(
      config,
      `backend_provider: custom\nurl: "http://127.0.0.1:${(backend.address() as AddressInfo).port}"\n`,
    );
    const held = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => held.once('listening', resolve));
    const { port } = held.address() as AddressInfo;
    await new Promise((resolve) => held.close(resolve));
    const lender = shoal('worker', '--server', `http://127.0.0.1:${port}`, '--config', config);
    await until('the lender looks for its server', () => lender.output.stderr.includes(String(port)));
    const run = shoal('up', '--port', String(port), '--workers', '2', '--once', QUESTION);
    expect(await run.ended, run.output.stderr).toBe(0);
    expect(run.output.stdout).toBe('The capital of Japan is Tokyo.\n');
    backend.close();
    backend.closeAllConnections();
  });

  it('says why it failed', async () => {
    const run = shoal('up', '--once', QUESTION, '--model', 'no-such-model');
    expect(await run.ended).toBe(1);
    expect(run.output.stdout).toBe('');
    expect(run.output.stderr).toMatch(/^shoal: MODEL_NOT_FOUND: /m);
  });

  it('refuses a taken port that was asked for', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const run = shoal('up', '--once', QUESTION, '--port', String(port));
    expect(await run.ended).toBe(1);
    expect(run.output.stderr).toMatch(/^shoal: PORT_IN_USE: /m);
    await new Promise((resolve) => taken.close(resolve));
  });
});

describe('up', () => {
  it.runIf(hasPseudoTerminals)('at a terminal keeps a line a tab, sums up, and ends on Ctrl-C', async () => {
    const run = runAtTerminal(['up', '--port', '0', '--workers', '2']);
    await run.see(/server {2}starting/);
    await run.see(/browser {2}starting Chrome/);
    await run.see(/tab-[12] .* of \d+\.\d MB/);
    await run.see('minnow runs');
    for (const line of [
      /tab-\d {2}layers? 0/,
      'Tokyo',
      'page  http',
      'API   http',
      'chat --server',
      'Ctrl-C stops everything.',
    ])
      await run.see(line);
    expect(run.text()).not.toMatch(/INFO|"level"/);
    run.type('\x03');
    expect(await run.ended).toBe(0);
  });

  it('tells where it is and who answered, brings a killed tab back, and ends on Ctrl-C', async () => {
    const run = shoal('up', '--port', '0', '--workers', '2');
    await until('it is ready', () => isReady(run), 120_000);
    const { stderr } = run.output;
    const url = /API +(http:\/\/\S+)\/v1/.exec(stderr)?.[1];
    expect(url).toBeDefined();
    expect(stderr).toContain('Tokyo');
    expect(stderr).toMatch(/served by tab-\d \(layers? 0(–\d)?\) → tab-\d \(layers? (\d–)?7\)/);

    for (const { pid } of renderers(run.pid)) {
      process.kill(pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      if (run.output.stderr.includes('the tab crashed')) break;
    }
    const lost = /(tab-\d): lost: the tab crashed/.exec(run.output.stderr)?.[1];
    expect(lost).toBeDefined();
    const afterCrash = run.output.stderr.indexOf('the tab crashed');
    // It may stay a spare where another tab has taken its layers meanwhile.
    await until('the tab is back', () =>
      new RegExp(`${lost}: waiting`).test(run.output.stderr.slice(afterCrash)),
    );
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'minnow',
        temperature: 0,
        messages: [{ role: 'user', content: QUESTION }],
      }),
    });
    expect((await answer.json()).choices[0].message.content).toBe('The capital of Japan is Tokyo.');

    const processes = descendants(run.pid);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    await until('every process is gone', () => !processes.some(({ pid }) => isAlive(pid)), 10_000);
    const { port } = new URL(url!);
    await expect(
      new Promise((resolve, reject) => {
        connect(Number(port), '127.0.0.1').once('connect', resolve).once('error', reject);
      }),
    ).rejects.toThrow('ECONNREFUSED');
  });

  it('ends its workers with npm when npm is stopped, and when npm is killed', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const run = runShoal(
        ['run', 'start', '--ignore-scripts', '--', '--port', '0', '--workers', '1'],
        ['npm'],
      );
      runs.push(run);
      await until('it is ready', () => isReady(run), 120_000);
      const processes = descendants(run.pid);
      expect(processes.some(({ command }) => command.includes('--type=renderer'))).toBe(true);
      run.child.kill(signal);
      await until(
        `every process is gone after ${signal}`,
        () => !processes.some(({ pid }) => isAlive(pid)),
        20_000,
      );
      await run.ended;
    }
  });
});

describe('worker', () => {
  it('takes a self-signed server by its fingerprint, and says again and again why it does not without', async () => {
    const home = mkdtempSync(join(tmpdir(), 'shoal-home-'));
    const server = runShoal(['serve', '--port', '0', '--tls-self-signed'], undefined, { SHOAL_HOME: home });
    runs.push(server);
    await until('the server runs', () => /chat --server/.test(server.output.stderr));
    const [, flags] = /chat (--server https\S+ --tls-fingerprint sha256:\w{64})/.exec(server.output.stderr)!;
    const [, url] = flags!.split(' ');
    const refused = shoal('worker', '--server', url!);
    const told = /tab-1: lost: .*not trusted here.*--tls-fingerprint/g;
    await until('the tab was refused twice', () => refused.output.stderr.match(told)?.length === 2);
    const worker = shoal('worker', ...flags!.split(' '));
    await until('the tab serves', () => worker.output.stderr.includes('tab-1: serving'));
    const chat = shoal('chat', QUESTION, ...flags!.split(' '));
    expect(await chat.ended, chat.output.stderr).toBe(0);
    expect(chat.output.stdout).toBe('The capital of Japan is Tokyo.\n');
  });

  it('serves a server that runs elsewhere, and leaves on SIGTERM', async () => {
    const server = shoal('serve', '--port', '0', '--replicas', '3');
    await until('the server runs', () => /API http/.test(server.output.stderr));
    const url = /page (http:\/\/\S+)/.exec(server.output.stderr)![1]!;
    const worker = shoal('worker', '--server', url, '--tabs', '2', '--name', 'gpu');
    await until('both tabs serve', () =>
      ['gpu-1', 'gpu-2'].every((tab) => worker.output.stderr.includes(`${tab}: serving`)),
    );
    const chat = shoal('chat', QUESTION, '--server', url);
    expect(await chat.ended, chat.output.stderr).toBe(0);
    expect(chat.output.stdout).toBe('The capital of Japan is Tokyo.\n');
    const other = shoal('worker', '--server', url, '--name', 'other');
    await until('the other serves', () => other.output.stderr.includes('other-1: serving'));
    const story = ['chat', 'Tell me a long story about a fox.', '--server', url];
    const calm = shoal(...story);
    expect(await calm.ended, calm.output.stderr).toBe(0);
    const moved = shoal(...story);
    await until('the answer has begun', () => moved.output.stdout.length > 20);
    const processes = descendants(worker.pid);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    // What ran there has moved: it neither fails nor changes.
    expect(await moved.ended, moved.output.stderr).toBe(0);
    expect(moved.output.stdout).toBe(calm.output.stdout);
    expect(processes.length).toBeGreaterThan(2);
    await until('nothing of it is left', () => !processes.some(({ pid }) => isAlive(pid)));
    await until('the server knows', () => /peer gone|left/.test(server.output.stderr));
    other.child.kill('SIGTERM');
    expect(await other.ended).toBe(0);
    server.child.kill('SIGTERM');
    expect(await server.ended).toBe(0);
  });
});
