/**
 * Every secret that a server knows or is told, looked for in everything that it prints, answers and stores: through the
 * real command, with a backend that writes the headers it got into whatever it answers.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { hashApiKey } from '../../src/server/access/api-key.ts';
import { until } from '../support/until.ts';

// Node has to start on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const PATIENCE = { timeout: 30_000, interval: 20 };

const SHOAL = fileURLToPath(new URL('../../bin/shoal.mjs', import.meta.url));

/** None begins like a key, so that nothing but care keeps them out of the log. */
const SECRETS = {
  yaml: 'yaml+KEY/one=%7"q',
  environment: 'environment+KEY/two=%8',
  reloaded: 'reloaded+KEY/three=%9',
  client: 'client+KEY/four=%10',
  wrong: 'wrong+KEY/five=%11',
  cookie: 'cookie+KEY/six=%12',
  query: 'query+KEY/seven=%13',
};
const PROMPT = 'the prompt that stays between client and backend';

const folder = mkdtempSync(join(tmpdir(), 'shoal-secrets-'));
const config = join(folder, 'model_backend.yaml');
const keyFile = join(folder, 'api_keys.json');
const environment = { ...process.env, SECRET_TOKEN: SECRETS.environment, NO_COLOR: '1' };

/** What the backend does for a model's name; each writes the request's headers wherever it can. */
const MODES: Record<string, (response: ServerResponse, echo: string) => void> = {
  fine: (response) => json(response, 200, answer('fine')),
  'in-content': (response, echo) => json(response, 200, answer(echo)),
  'in-stream': (response, echo) => events(response, answer('a'), answer(echo)),
  'in-headers': (response, echo) =>
    response
      .writeHead(429, { 'retry-after': echo, 'x-request-id': echo, 'openai-processing-ms': echo })
      .end(JSON.stringify({ error: { message: 'slow down' } })),
  ...Object.fromEntries(
    [400, 401, 403, 404, 413, 422, 429, 500, 503, 504].map((status) => [
      `status-${status}`,
      (response: ServerResponse, echo: string) =>
        json(response, status, { error: { message: echo, type: echo, param: echo, code: echo } }),
    ]),
  ),
  'error-text': (response, echo) => json(response, 400, { error: echo }),
  'error-detail': (response, echo) => json(response, 422, { detail: [{ loc: ['body', echo], msg: echo }] }),
  'error-message': (response, echo) => json(response, 400, { object: 'error', message: echo, code: 400 }),
  'error-ok': (response, echo) => json(response, 200, { error: { message: echo, code: echo } }),
  'error-page': (response, echo) => response.writeHead(500).end(`<html><title>${echo}</title>${echo}`),
  'error-plain': (response, echo) => response.writeHead(400, { 'x-echo': echo }).end(echo),
  redirect: (response, echo) =>
    response.writeHead(302, { location: `http://127.0.0.1:1/?${encodeURIComponent(echo)}` }).end(echo),
  'no-json': (response, echo) => response.writeHead(200, { 'content-type': 'application/json' }).end(echo),
  'stream-error': (response, echo) =>
    events(response, answer('a'), { error: { message: echo, type: echo, code: echo } }),
  'stream-first-error': (response, echo) => events(response, { error: { message: echo, type: echo } }),
  'stream-broken': (response, echo) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-echo': echo });
    response.write(`data: ${JSON.stringify(answer('a'))}\n\ndata: {${echo}\n\n`, () => response.destroy());
  },
  reset: (response) => response.destroy(),
};

const answer = (content: string) => ({
  id: '1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'theirs',
  choices: [
    {
      index: 0,
      text: content,
      delta: { content },
      message: { role: 'assistant', content },
      finish_reason: 'stop',
    },
  ],
});

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function events(response: ServerResponse, ...bodies: unknown[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(bodies.map((body) => `data: ${JSON.stringify(body)}\n\n`).join(''));
}

const backend = createServer(async (request: IncomingMessage, response) => {
  heard.push(JSON.stringify([request.url, request.headers]));
  const echo = Object.entries(request.headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ');
  let text = '';
  for await (const chunk of request) text += chunk;
  if (isBroken) return json(response, 500, { error: { message: echo } });
  if (request.url?.endsWith('/models')) {
    const data = [...Object.keys(MODES), `id-${request.headers['x-api-key']}`].map((id) => ({
      id,
      object: 'model',
      created: 1,
      owned_by: 'test',
    }));
    return json(response, 200, { object: 'list', data });
  }
  if (text === '') return json(response, 404, { error: { message: echo } });
  const { model } = JSON.parse(text);
  acted.add(model);
  const mode = MODES[model] ?? MODES['status-404']!;
  mode(response, echo);
});

/** What the backend got: its own keys belong there, a client's do not. */
const heard: string[] = [];
const acted = new Set<string>();
/** Everything that came out of the server. */
const seen: string[] = [];
let isBroken = false;
let server: ChildProcess;
let printed = '';
let url = '';
let backendUrl = '';

const yaml = (key: string) => `backend_provider: custom
url: "${backendUrl}"
api_key: '${key}'
bearer_token: "\${SECRET_TOKEN}"
`;

beforeAll(async () => {
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  backendUrl = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  writeFileSync(config, yaml(SECRETS.yaml));
  const sha256 = hashApiKey(SECRETS.client).toString('hex');
  const key = { name: 'alice', sha256, created: '2026-01-31T12:00:00Z' };
  writeFileSync(keyFile, JSON.stringify({ version: 1, keys: [key] }));
  const args = ['serve', '--config', config, '--api-keys', keyFile, '--port', '0'];
  server = spawn(process.execPath, [SHOAL, ...args], {
    env: { ...environment, SHOAL_LOG_LEVEL: 'trace', SHOAL_DEBUG: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [server.stdout!, server.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  await until(() => /API http:\S+\/v1/.test(printed) || server.exitCode !== null);
  expect(server.exitCode, printed).toBeNull();
  url = /API (http:\S+)\/v1/.exec(printed)![1]!;
});

afterAll(async () => {
  if (server.exitCode === null) {
    server.kill('SIGKILL');
    await new Promise((resolve) => server.once('exit', resolve));
  }
  backend.closeAllConnections();
  await new Promise((resolve) => backend.close(resolve));
  rmSync(folder, { recursive: true });
});

async function ask(path: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(`${url}${path}`, { redirect: 'manual', ...init });
  const body = await response.text().catch((error) => `broke off: ${error}`);
  seen.push(`${response.status} ${JSON.stringify([...response.headers])}\n${body}`);
  return response.status;
}

const withKey = (key: string) => ({ authorization: `Bearer ${key}`, cookie: `session=${SECRETS.cookie}` });

function post(path: string, body: object, headers: Record<string, string> = withKey(SECRETS.client)) {
  return ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function lookEverywhere(): Promise<void> {
  for (const path of ['/', '/api/status', '/health/live', '/health/ready', '/openapi.json', '/metrics']) {
    await ask(path);
    await ask(`${path}?key=${encodeURIComponent(SECRETS.query)}`, { headers: withKey(SECRETS.client) });
  }
  await ask('/v1/models', { headers: withKey(SECRETS.client) });
  await ask('/v1/models/none', { headers: { 'x-api-key': SECRETS.client } });
}

/** The ways in which a text may be written that somebody could read it from. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = (text: Buffer) => text.toString('base64').replace(/=+$/, '');
  return [
    secret,
    encodeURIComponent(secret),
    encodeURI(secret),
    JSON.stringify(secret).slice(1, -1),
    base64(bytes),
    bytes.toString('base64url'),
    // Within a longer text, a base64 of it begins one or two bytes later.
    base64(bytes.subarray(1)).slice(0, -2),
    base64(bytes.subarray(2)).slice(0, -2),
    bytes.toString('hex'),
  ];
}

function leaks(text: string, secrets: Readonly<Record<string, string>> = SECRETS): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret).flatMap((form) => {
      const at = text.indexOf(form);
      return at < 0 ? [] : [`${name}: …${text.slice(Math.max(0, at - 120), at + form.length + 20)}…`];
    }),
  );
}

it('finds a secret in each of its forms', () => {
  for (const form of formsOf(SECRETS.yaml)) expect(leaks(`before${form}after`)).not.toEqual([]);
  expect(leaks(Buffer.from(`ab${SECRETS.yaml}cd`).toString('base64'))).not.toEqual([]);
  expect(leaks('nothing')).toEqual([]);
});

it('none is in what was answered, printed or stored', async () => {
  for (const [path, asked] of [
    ['/v1/chat/completions', { messages: [{ role: 'user', content: PROMPT }] }],
    ['/v1/completions', { prompt: PROMPT }],
  ] as const) {
    for (const model of Object.keys(MODES)) {
      for (const stream of path.startsWith('/v1/chat') ? [false, true] : [true]) {
        await post(path, { model, stream, ...asked });
        // Keep the node in use: a circuit breaker counts failures in a row, and their share.
        for (let i = 0; i < 2; i++) expect(await post(path, { model: 'fine', ...asked }), model).toBe(200);
      }
    }
    expect(await post(path, { model: 'fine', ...asked }, withKey(SECRETS.wrong))).toBe(401);
    expect(await post(path, { model: 'fine', ...asked }, { 'x-api-key': SECRETS.wrong })).toBe(401);
    expect(await post(path, { model: 'nobody', ...asked })).not.toBe(200);
  }
  expect(await post('/v1/chat/completions', { model: 'fine', messages: [] })).toBe(200);
  await ask('/v1/chat/completions', { method: 'POST', headers: withKey(SECRETS.client), body: '{' });
  await lookEverywhere();

  // The backend is broken, health and status tell why.
  isBroken = true;
  await post('/v1/chat/completions', { model: 'fine', messages: [] });
  await lookEverywhere();
  isBroken = false;

  // Reloads: a broken file, a good one, a broken key file.
  writeFileSync(config, `backend_provider: custom\nurl: "${backendUrl}"\napi_key: ["${SECRETS.reloaded}"\n`);
  await expect.poll(() => printed, PATIENCE).toContain('was not applied');
  writeFileSync(config, yaml(SECRETS.reloaded));
  await expect.poll(() => printed, PATIENCE).toContain('the new configuration runs');
  expect(await post('/v1/chat/completions', { model: 'fine', messages: [] })).toBe(200);
  await post('/v1/chat/completions', { model: 'status-401', messages: [] });
  writeFileSync(keyFile, `{"version": 1, "keys": ["${SECRETS.client}"]}`);
  server.kill('SIGHUP');
  await expect.poll(() => printed, PATIENCE).toContain('API keys stay as they were');
  await lookEverywhere();

  for (const source of [
    yaml(SECRETS.yaml),
    `api_key: [${SECRETS.yaml}`,
    `url: "http://u:${SECRETS.query}@h"`,
  ]) {
    const checked = join(folder, 'checked.yaml');
    writeFileSync(checked, source);
    const { stdout, stderr } = spawnSync(process.execPath, [SHOAL, 'config', 'check', checked], {
      encoding: 'utf8',
      env: { ...environment, SHOAL_DEBUG: '1' },
    });
    seen.push(stdout, stderr);
    rmSync(checked);
  }
  server.kill('SIGTERM');
  await new Promise((resolve) => server.once('exit', resolve));

  expect([...acted]).toEqual(expect.arrayContaining(Object.keys(MODES)));
  // It was a test of something: the backend got its keys, the log tells of the requests by the key's name.
  const backendGot = heard.join('\n');
  for (const own of [SECRETS.environment, SECRETS.reloaded]) expect(backendGot).toContain(own);
  expect(printed).toContain('"key":"alice"');
  expect(printed).toContain('"status":401');
  for (const masked of ['"id-***"', 'x-api-key: ***; authorization: Bearer ***']) {
    expect(seen.join('\n')).toContain(masked);
  }

  const { client, wrong, cookie, query } = SECRETS;
  expect(leaks(backendGot, { client, wrong, cookie, query })).toEqual([]);
  expect(leaks(seen.join('\n'))).toEqual([]);
  expect(leaks(printed)).toEqual([]);
  expect(printed).not.toContain(PROMPT);
  writeFileSync(config, '');
  writeFileSync(keyFile, '');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    expect(leaks(readFileSync(join(folder, name), 'utf8'))).toEqual([]);
  }
});
