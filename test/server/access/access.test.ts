import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DEFAULT_CONCURRENT_PER_CLIENT,
  DEFAULT_REQUESTS_PER_MINUTE,
  KEY_FILE_RECHECK_MS,
  REFUSED_KEYS_PER_MINUTE,
} from '../../../src/config/limits.ts';
import { IN_PROCESS, type RefusalReason } from '../../../src/server/access/access.ts';
import { hashApiKey, newApiKey } from '../../../src/server/access/api-key.ts';
import type { StoredKey } from '../../../src/server/access/key-file.ts';
import { KeyRing } from '../../../src/server/access/key-ring.ts';
import { errorOf, openApp } from './support.ts';

const alice = newApiKey();
const bob = newApiKey();
const STRANGER = '203.0.113.7';
let folder: string;
let now = 0;
const clock = () => now;

beforeEach(() => {
  now = 1_000_000;
  folder = mkdtempSync(join(tmpdir(), 'shoal-access-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function writeKeys(limits: { alice?: Partial<StoredKey> } = {}, keys = { alice, bob }): string {
  const file = join(folder, 'keys.json');
  const entries = Object.entries(keys).map(([name, key]) => ({
    name,
    sha256: hashApiKey(key).toString('hex'),
    created: '2026-01-31T12:00:00.000Z',
    ...(name === 'alice' && limits.alice),
  }));
  writeFileSync(file, JSON.stringify({ version: 1, keys: entries }));
  return file;
}

const ringOf = (file: string) => new KeyRing({ file, now: clock, log: pino({ level: 'silent' }) });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('with a key file', () => {
  it('the API takes a key as bearer or x-api-key, and refuses in OpenAI’s shape without', async () => {
    const { chat, send } = openApp({ keys: ringOf(writeKeys()), now: clock });
    expect((await chat(bearer(alice))).status).toBe(200);
    expect((await chat({ 'x-api-key': bob })).status).toBe(200);
    expect((await chat({ authorization: 'Basic eDp5', 'x-api-key': bob })).status).toBe(200);
    for (const headers of [{}, bearer(newApiKey()), { 'x-api-key': 'x' }, { authorization: alice }]) {
      const refused = await chat(headers);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
      expect(await errorOf(refused)).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' });
    }
    expect((await send('/v1/models')).status).toBe(401);
    expect((await send('/v1/models', { headers: bearer(alice) })).status).toBe(200);
    expect((await send('/v1/nothing')).status).toBe(401);
  });

  it('the page, health and status need none', async () => {
    const { send } = openApp({ keys: ringOf(writeKeys()), now: clock });
    expect((await send('/health/live')).status).toBe(200);
    expect((await send('/health/ready')).status).toBe(200);
    expect((await send('/api/status')).status).toBe(200);
    for (const path of ['/health', '/v1/health', '/ping', '/version'])
      expect((await send(path)).status, path).toBe(200);
  });

  it('a preflight is answered without a key, and a listed site may read the refusal', async () => {
    const origin = 'https://friend.example';
    const { send } = openApp({ keys: ringOf(writeKeys()), now: clock }, { allowedOrigins: [origin] });
    const preflight = await send('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    const refused = await send('/v1/models', { headers: { origin } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe(origin);
  });

  it('the server’s own process needs none', async () => {
    const { app } = openApp({ keys: ringOf(writeKeys()), now: clock });
    const models = () => new Request('http://localhost/v1/models');
    expect((await app.fetch(models(), IN_PROCESS)).status).toBe(200);
    expect((await app.fetch(models())).status).toBe(401);
  });

  it('a removed key is refused a moment later, and may lend no longer', async () => {
    const { chat, access } = openApp({ keys: ringOf(writeKeys({ alice: { lend: true } })), now: clock });
    expect(access.mayLend(alice)).toBe(true);
    writeKeys({}, { alice: newApiKey(), bob });
    now += KEY_FILE_RECHECK_MS;
    expect((await chat(bearer(alice))).status).toBe(401);
    expect(access.mayLend(alice)).toBe(false);
    expect((await chat(bearer(bob))).status).toBe(200);
  });

  it('limits are the key’s, wherever it is used from', async () => {
    const file = writeKeys({ alice: { requestsPerMinute: 2 } });
    const { chat } = openApp({ keys: ringOf(file), now: clock, requestsPerMinute: 4 });
    expect((await chat(bearer(alice), STRANGER)).status).toBe(200);
    expect((await chat(bearer(alice), '198.51.100.1')).status).toBe(200);
    const refused = await chat(bearer(alice), '192.0.2.1');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(await errorOf(refused)).toMatchObject({
      code: 'rate_limited',
      type: 'rate_limit_error',
      message: expect.stringMatching(/more than 2 requests a minute; try again in 30 s/),
    });
    for (let i = 0; i < 4; i++) expect((await chat(bearer(bob), STRANGER)).status).toBe(200);
    expect((await chat(bearer(bob), STRANGER)).status).toBe(429);
    now += 30_000;
    expect((await chat(bearer(alice))).status).toBe(200);
    expect((await chat(bearer(alice))).status).toBe(429);
  });

  it('who guesses is slowed down by address, and holds up no valid key', async () => {
    const refusals: RefusalReason[] = [];
    const { chat } = openApp({
      keys: ringOf(writeKeys()),
      now: clock,
      onRefused: (reason) => refusals.push(reason),
    });
    for (let i = 0; i < REFUSED_KEYS_PER_MINUTE; i++) {
      expect((await chat(bearer('wrong'), STRANGER)).status).toBe(401);
    }
    expect((await chat(bearer('wrong'), STRANGER)).status).toBe(429);
    expect((await chat(bearer('wrong'), '203.0.113.8')).status).toBe(401);
    expect((await chat(bearer(alice), STRANGER)).status).toBe(200);
    expect(refusals.filter((reason) => reason === 'unauthorized')).toHaveLength(REFUSED_KEYS_PER_MINUTE + 1);
    expect(refusals.filter((reason) => reason === 'rate')).toHaveLength(1);
  });
});

describe('without keys', () => {
  it('programs on this machine are not limited, unless a flag says so', async () => {
    const open = openApp({ now: clock });
    for (let i = 0; i <= DEFAULT_REQUESTS_PER_MINUTE; i++) expect((await open.chat()).status).toBe(200);
    const limited = openApp({ now: clock, requestsPerMinute: 1 });
    expect((await limited.chat()).status).toBe(200);
    expect((await limited.chat()).status).toBe(429);
  });

  it('others are, each by his address', async () => {
    const { chat } = openApp({ now: clock });
    for (let i = 0; i < DEFAULT_REQUESTS_PER_MINUTE; i++) {
      expect((await chat({}, STRANGER)).status).toBe(200);
    }
    expect((await chat({}, STRANGER)).status).toBe(429);
    expect((await chat({}, '203.0.113.8')).status).toBe(200);
  });

  it('an IPv6 network is one client', async () => {
    const { chat } = openApp({ now: clock, requestsPerMinute: 1 });
    expect((await chat({}, '2001:db8:0:1::1')).status).toBe(200);
    expect((await chat({}, '2001:db8:0:1:ffff::2')).status).toBe(429);
    expect((await chat({}, '2001:db8:0:2::1')).status).toBe(200);
  });

  it('X-Forwarded-For counts behind a proxy of the operator’s only', async () => {
    const forged = (i: number) => ({ 'x-forwarded-for': `198.51.100.${i}` });
    const direct = openApp({ now: clock, requestsPerMinute: 1 });
    expect((await direct.chat(forged(1), STRANGER)).status).toBe(200);
    expect((await direct.chat(forged(2), STRANGER)).status).toBe(429);
    const proxied = openApp({ now: clock, requestsPerMinute: 1, trustedProxies: 1 });
    expect((await proxied.chat(forged(1))).status).toBe(200);
    expect((await proxied.chat(forged(2))).status).toBe(200);
    expect((await proxied.chat({ 'x-forwarded-for': '10.9.9.9, 198.51.100.1' })).status).toBe(429);
  });
});

describe('answers at once', () => {
  it('count until they end or the client hangs up', async () => {
    const { chat, backend } = openApp({ now: clock, concurrent: 2 });
    const stream = { stream: true };
    const first = await chat({}, STRANGER, stream);
    const second = await chat({}, STRANGER, stream);
    const refused = await chat({}, STRANGER);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await errorOf(refused)).message).toMatch(/2 answers of yours.*at most 2/);
    expect((await chat({}, '203.0.113.8')).status).toBe(200);
    await first.body!.cancel();
    expect((await chat({}, STRANGER)).status).toBe(200);
    const third = await chat({}, STRANGER, stream);
    expect((await chat({}, STRANGER)).status).toBe(429);
    backend.ends[1]!();
    expect(await second.text()).toBe('data: 1\n\n');
    expect((await chat({}, STRANGER)).status).toBe(200);
    await third.body!.cancel();
  });

  it('have a default for strangers, and give back what an error ends', async () => {
    const { chat, send } = openApp({ now: clock });
    for (let i = 0; i <= DEFAULT_CONCURRENT_PER_CLIENT; i++) {
      const broken = await send('/v1/chat/completions', { method: 'POST', body: '{' }, STRANGER);
      expect(broken.status).toBe(400);
    }
    const streams = [];
    for (let i = 0; i < DEFAULT_CONCURRENT_PER_CLIENT; i++) {
      streams.push(await chat({}, STRANGER, { stream: true }));
    }
    expect((await chat({}, STRANGER)).status).toBe(429);
    for (const { body } of streams) await body!.cancel();
    expect((await chat({}, STRANGER)).status).toBe(200);
  });
});

describe('answers of one request', () => {
  it.each([
    ['chat/completions', { n: 3 }],
    ['completions', { n: 3, prompt: 'a' }],
    ['completions', { prompt: ['a', 'b', 'c'] }],
    ['completions', { prompt: [[1], [2], [3]] }],
    ['completions', { n: 1, best_of: 3, prompt: 'a' }],
    ['chat/completions', { n: '3' }],
  ])('count each against what a client may have at once: %s %j', async (endpoint, body) => {
    const { send, chat } = openApp({ now: clock, concurrent: 4 });
    const ask = (more: object) =>
      send(`/v1/${endpoint}`, { method: 'POST', body: JSON.stringify({ ...body, ...more }) }, STRANGER);
    const first = await ask({ stream: true });
    const refused = await ask({});
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await errorOf(refused)).message).toMatch(/3 answers of yours.*3 more.*at most 4/);
    // The refused ones are given back, and somebody else has his own.
    expect((await chat({}, STRANGER)).status).toBe(200);
    expect((await chat({}, '203.0.113.8', { n: 3 })).status).toBe(200);
    await first.body!.cancel();
    expect((await ask({})).status).toBe(200);
  });

  it('are refused for good where they are more than a client may ever have', async () => {
    const { chat } = openApp({ now: clock, concurrent: 4 });
    const refused = await chat({}, STRANGER, { n: 5 });
    expect(refused.status).toBe(400);
    expect(await errorOf(refused)).toMatchObject({ code: 'invalid_request', param: 'n' });
  });

  it('are one for what is no count, and for a prompt of token ids', async () => {
    const { send } = openApp({ now: clock, concurrent: 1 });
    for (const body of [
      { n: -1 },
      { n: null },
      { n: 'x' },
      { n: 1e99 },
      { prompt: [1, 2, 3] },
      { prompt: [] },
    ]) {
      const init = { method: 'POST', body: JSON.stringify(body) };
      expect((await send('/v1/completions', init, STRANGER)).status).toBe(200);
    }
  });
});

describe('the request id', () => {
  it('is on every answer and in the log; the client’s own is kept if it is harmless', async () => {
    const { chat, send, log } = openApp({ now: clock, requestsPerMinute: 3 });
    const id = (response: Response) => response.headers.get('x-request-id');
    expect(id(await chat({ 'x-request-id': 'trace-7/ab' }))).toBe('trace-7/ab');
    expect(id(await chat({ 'x-request-id': 'two words' }))).toMatch(/^[0-9a-f-]{36}$/);
    expect(id(await chat({ 'x-request-id': 'x'.repeat(129) }))).toMatch(/^[0-9a-f-]{36}$/);
    const limited = await chat({ 'x-request-id': 'late' });
    expect([limited.status, id(limited)]).toEqual([429, 'late']);
    expect(id(await send('/nothing'))).toMatch(/^[0-9a-f-]{36}$/);
    expect(log.json()).toContainEqual(
      expect.objectContaining({ msg: 'request', id: 'late', status: 429, code: 'RATE_LIMITED' }),
    );
  });
});

describe('the log', () => {
  it('has one line for an answer, when it has ended, without what was said', async () => {
    const { chat, send, log, backend } = openApp({ keys: ringOf(writeKeys()), now: clock });
    const streamed = await chat(bearer(alice), STRANGER, { stream: true, messages: 'PROMPT' });
    expect(log.text()).toBe('');
    backend.ends[0]!();
    await streamed.text();
    await send('/v1/models?api_key=QUERY', { headers: bearer(bob) });
    const lines = log.json();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      level: 30,
      msg: 'request',
      method: 'POST',
      path: '/v1/chat/completions',
      status: 200,
      key: 'alice',
      model: 'fake',
      outcome: 'stop',
      promptTokens: 3,
      completionTokens: 5,
      ms: expect.any(Number),
    });
    expect(lines[1]).toMatchObject({ path: '/v1/models', key: 'bob', status: 200 });
    expect(log.text()).not.toMatch(/PROMPT|QUERY|sk-shoal/);
  });

  it('is quiet about what the page polls', async () => {
    const { send, log } = openApp({ now: clock });
    await send('/api/status');
    await send('/v1/health');
    await send('/');
    expect(log.text()).toBe('');
  });
});
