import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { startFakeOllama } from '../support/fake-ollama.ts';
import { FakeVllm } from '../support/fake-vllm.ts';
import { MeshRun } from '../support/mesh-run.ts';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';

/**
 * The examples of docs/backends.md, as they stand there: the YAML is checked and served by the real command, the curl's body is
 * posted, and the answer must contain the JSON. Only addresses are exchanged, for those of the servers that run here.
 */

interface Example {
  readonly yaml: string;
  readonly body: string;
  readonly answer: object;
}

const page = await readFile(new URL('../../docs/backends.md', import.meta.url), 'utf8');
const examples = new Map(
  page
    .split('<!-- example: ')
    .slice(1)
    .map((part): [string, Example] => {
      const block = (language: string) => part.match(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's'))![1]!;
      const body = block('sh').match(/-d '(.*)'/)![1]!;
      return [
        part.split(' ')[0]!,
        { yaml: block('yaml'), body, answer: JSON.parse(block('json')) as object },
      ];
    }),
);

let browser: Browser;
/** Stands for the llama.cpp server of the examples: the same model with the same API. */
let mesh: MeshRun;
let directory: string;
const running: ShoalRun[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-examples-'));
  browser = await launchChromium();
  mesh = await MeshRun.start(browser, 1);
});
afterEach(async () => {
  for (const { child, ended } of running.splice(0).reverse()) {
    child.kill('SIGTERM');
    await ended;
  }
});
afterAll(async () => {
  await mesh?.close();
  await browser?.close();
  await rm(directory, { recursive: true });
});

async function configFile(name: string, addresses: Record<string, string>): Promise<string> {
  const file = join(directory, `${name}.yaml`);
  let { yaml } = examples.get(name)!;
  for (const [from, to] of Object.entries(addresses)) {
    expect(yaml).toContain(from);
    yaml = yaml.replaceAll(from, to);
  }
  await writeFile(file, yaml);
  return file;
}

function start(args: readonly string[], env: Record<string, string> = {}): ShoalRun {
  const run = runShoal(args, undefined, { SHOAL_LOG: 'pretty', ...env });
  running.push(run);
  return run;
}

async function serve(file: string | null, env: Record<string, string> = {}): Promise<string> {
  const run = start(['serve', '--port', '0', ...(file === null ? [] : ['--config', file])], env);
  const url = () => /page (http:\S+)/.exec(run.output.stderr)?.[1];
  await expect.poll(url, { timeout: 30_000, message: run.output.stderr }).toBeDefined();
  return url()!;
}

async function check(file: string, env: Record<string, string> = {}): Promise<string> {
  const run = runShoal(['config', 'check', file], undefined, env);
  expect(await run.ended, run.output.stderr).toBe(0);
  return run.output.stdout;
}

async function answersAsWritten(name: string, url: string): Promise<void> {
  const { body, answer } = examples.get(name)!;
  const post = async () => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
    return response.json();
  };
  expect(await post()).toMatchObject(answer);
}

describe('the examples of docs/backends.md', () => {
  it('are all run', () => {
    expect([...examples.keys()]).toEqual(['fxn', 'custom', 'vllm', 'ollama', 'nodes', 'worker']);
  });

  it('fxn', async () => {
    const file = await configFile('fxn', {});
    expect(await check(file)).toContain('minnow');
    const url = await serve(file);
    start(['worker', '--tabs', '2', '--gpu', 'software', '--server', url]);
    const ready = async () => (await fetch(`${url}/health/ready`)).status;
    await expect.poll(ready, { timeout: 120_000, interval: 500 }).toBe(200);
    await answersAsWritten('fxn', url);
  });

  it('custom', async () => {
    const file = await configFile('custom', { 'http://127.0.0.1:8082': mesh.server.url });
    expect(await check(file)).toContain('little-fish');
    await answersAsWritten('custom', await serve(file));
  });

  it('vllm', async () => {
    const toy = await FakeVllm.start();
    try {
      const file = await configFile('vllm', { 'http://localhost:8000': toy.url });
      const env = { VLLM_API_KEY: 'a-key-of-the-example' };
      const said = await check(file, env);
      expect(said).toContain('***');
      expect(said).not.toContain(env.VLLM_API_KEY);
      await answersAsWritten('vllm', await serve(file, env));
    } finally {
      await toy.close();
    }
  });

  it('ollama', async () => {
    const ollama = await startFakeOllama();
    try {
      const file = await configFile('ollama', { 'http://localhost:11434': ollama.url });
      await check(file);
      await answersAsWritten('ollama', await serve(file));
    } finally {
      await ollama.close();
    }
  });

  it('nodes, one of which is away', async () => {
    const file = await configFile('nodes', { 'http://127.0.0.1:8082': mesh.server.url });
    expect(await check(file)).toContain('2 nodes');
    const url = await serve(file);
    for (let i = 0; i < 4; i++) await answersAsWritten('nodes', url);
  });

  it('worker', async () => {
    const file = await configFile('worker', { 'http://127.0.0.1:8082': mesh.server.url });
    const url = await serve(null);
    start(['worker', '--server', url, '--config', file]);
    const ready = async () => (await fetch(`${url}/health/ready`)).status;
    await expect.poll(ready, { timeout: 60_000, interval: 300 }).toBe(200);
    await answersAsWritten('worker', url);
  });
});
