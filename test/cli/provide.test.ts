import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { chunk, event, json, streams, UpstreamServer } from '../support/upstream-server.ts';

/** The command as an operator runs it, against a server in this process and somebody's API on a real socket. */

// Node has to start on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const SHOAL = fileURLToPath(new URL('../../bin/shoal.mjs', import.meta.url));
const PATIENCE = { timeout: 30_000, interval: 20 };
const KEY = 'sk-the-backends-own';

const folder = mkdtempSync(join(tmpdir(), 'shoal-provide-'));
const config = join(folder, 'model_backend.yaml');
const upstream = new UpstreamServer();
let upstreamUrl = '';
let server: RunningServer;
let client: OpenAI;
const workers: ChildProcess[] = [];

beforeAll(async () => {
  upstreamUrl = await upstream.listen();
  server = await startServer({
    node: { kind: 'proxy', provider: 'custom', open: () => [] },
    port: 0,
    pageDirectory: folder,
    log: pino({ level: 'silent' }),
  });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    if (worker.exitCode !== null || worker.signalCode !== null) continue;
    worker.kill('SIGKILL');
    await new Promise((resolve) => worker.once('exit', resolve));
  }
});
afterAll(async () => {
  await server.close();
  await upstream.close();
  rmSync(folder, { recursive: true });
});

function work(yaml: string): { readonly worker: ChildProcess; readonly stderr: () => string } {
  writeFileSync(config, yaml);
  let stderr = '';
  const args = [SHOAL, 'worker', '--config', config, '--server', server.url, '--name', 'box'];
  const worker = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  worker.stderr.on('data', (data) => {
    stderr += data;
  });
  workers.push(worker);
  return { worker, stderr: () => stderr };
}

const yaml = (rest = '') => `backend_provider: custom\nurl: "${upstreamUrl}"\napi_key: "${KEY}"\n${rest}`;
const models = async () => (await client.models.list()).data.map(({ id }) => id);
const list = (...ids: string[]) =>
  json({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 1, owned_by: 'me' })) });
const ask = (model: string) => ({ model, messages: [{ role: 'user' as const, content: 'hi' }] });

it('lends a backend: models, whole answers, streams; its key stays with it', async () => {
  const answers = streams([event(chunk('Hel')), event(chunk('lo', 'stop')), 'data: [DONE]\n\n']);
  const whole = { ...chunk(''), object: 'chat.completion' };
  upstream.handler = (response, received) => {
    if (received.path.endsWith('/models')) return list('llama3-8b')(response, received);
    if (received.body.stream === true) return answers(response, received);
    const choices = [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }];
    return json({ ...whole, choices })(response, received);
  };
  const { stderr } = work(yaml());
  await expect.poll(models, PATIENCE).toEqual(['llama3-8b']);
  const answer = await client.chat.completions.create(ask('llama3-8b'));
  expect(answer.choices[0]!.message.content).toBe('Hello');
  let text = '';
  for await (const { choices } of await client.chat.completions.create({
    ...ask('llama3-8b'),
    stream: true,
  })) {
    text += choices[0]?.delta.content ?? '';
  }
  expect(text).toBe('Hello');
  expect(upstream.received.at(-1)!.headers.authorization).toBe(`Bearer ${KEY}`);
  expect(JSON.stringify(await server.status())).not.toContain(KEY);
  expect(stderr()).toMatch(/lending llama3-8b to/);
  expect(stderr()).not.toContain(KEY);
});

it('refuses to lend a server to itself', async () => {
  const { worker, stderr } = work(
    `backend_provider: custom\nurl: "${server.url.replace('127.0.0.1', 'localhost')}"\n`,
  );
  const code = await new Promise((resolve) => worker.once('exit', resolve));
  expect(stderr()).toMatch(/CONFIG_INVALID: url: .* is the server that this is lent to/);
  expect(code).toBe(1);
});

it('a client that hangs up is told to the backend', async () => {
  upstream.handler = (response, received) =>
    received.path.endsWith('/models')
      ? list('llama3-8b')(response, received)
      : streams([event(chunk('Hel'))], 'open')(response, received);
  work(yaml());
  await expect.poll(models, PATIENCE).toEqual(['llama3-8b']);
  const before = upstream.hangUps;
  const stream = await client.chat.completions.create({ ...ask('llama3-8b'), stream: true });
  for await (const _chunk of stream) break;
  await expect.poll(() => upstream.hangUps, PATIENCE).toBe(before + 1);
});

it('follows its file, and SIGTERM lets it finish what it answers', async () => {
  let end = () => {};
  upstream.handler = (response, received) => {
    if (received.path.endsWith('/models')) return list('llama3-8b')(response, received);
    end = () => response.end(`${event(chunk('lo', 'stop'))}data: [DONE]\n\n`);
    return streams([event(chunk('Hel'))], 'open')(response, received);
  };
  const { worker, stderr } = work(yaml());
  await expect.poll(models, PATIENCE).toEqual(['llama3-8b']);
  writeFileSync(config, yaml('model_name_alias: llama3-8b\nfxn_id: swimmer\n'));
  await expect.poll(models, PATIENCE).toEqual(['swimmer']);

  const stream = await client.chat.completions.create({ ...ask('swimmer'), stream: true });
  let text = '';
  for await (const { choices } of stream) {
    text += choices[0]?.delta.content ?? '';
    if (text !== 'Hel') continue;
    worker.kill('SIGTERM');
    await expect.poll(stderr, PATIENCE).toContain('finishing 1 request');
    end();
  }
  expect(text).toBe('Hello');
  const code = worker.exitCode ?? (await new Promise((resolve) => worker.once('exit', resolve)));
  expect(code).toBe(0);
  await expect(models()).rejects.toMatchObject({ status: 503 });
});
