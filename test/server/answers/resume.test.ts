/** Answers that go on when their client's connection does not, in front of the native engine. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../../src/config/errors.ts';
import { ANSWER_KEPT_MS, ANSWER_LINGER_MS, MAX_ANSWER_READERS } from '../../../src/config/limits.ts';
import { ANSWER_HEADER, REPLAYED_HEADER } from '../../../src/server/answers/read-answer.ts';
import { settle } from '../../support/fake-timers.ts';
import { until } from '../../support/until.ts';
import { type HeldApp, heldApp, SseClient, textOf } from './support.ts';

const CHAT = { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], stream: true };
const WHOLE = { ...CHAT, stream: false };
const KEY = 'f3b0c442-98fc';

let held: HeldApp;
beforeEach(() => {
  held = heldApp();
});

const chat = (body: object = CHAT, headers: Record<string, string> = {}) =>
  held.post('/v1/chat/completions', body, { headers: { 'idempotency-key': KEY, ...headers } });
const behind = (id: string | null) => ({ 'last-event-id': id! });
const errorOf = async (response: Response) => [response.status, (await response.json()).error.code];
/** So many sequences were begun. */
const begun = (count: number) => until(() => held.sequences.length >= count);
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('a stream with an Idempotency-Key', () => {
  it('goes on from the event after Last-Event-ID, with what came while nobody read', async () => {
    const first = new SseClient(await chat());
    held.sequences[0]!.say('Hel');
    const read = await first.take(3);
    await first.hangUp();
    held.sequences[0]!.say('lo, ');
    await turn();
    const response = await chat(CHAT, behind(read.at(-1)!.id));
    expect(response.headers.get(REPLAYED_HEADER)).toBe('true');
    const second = new SseClient(response);
    held.sequences[0]!.say('world');
    held.sequences[0]!.finish();
    const rest = await second.rest();
    expect(textOf([...read, ...rest])).toBe('Hello, world');
    expect(rest.at(-1)!.data).toBe('[DONE]');
    expect(held.generator.requests).toHaveLength(1);
    expect(held.counts).toEqual(['resumed']);
  });

  it('is byte for byte the stream of who never hung up, wherever the cut is', async () => {
    const whole = new SseClient(await chat());
    held.sequences[0]!.say('Fish.');
    held.sequences[0]!.finish();
    const all = await whole.rest();
    for (const [index, { id }] of all.entries()) {
      const rest = await new SseClient(await chat(CHAT, behind(id))).rest();
      expect(rest).toEqual(all.slice(index + 1));
    }
    const again = new SseClient(await chat());
    expect(await again.rest()).toEqual(all);
    expect(again.raw).toBe(whole.raw);
  });

  it('has ids that nobody can guess, one more each, and named in a header', async () => {
    const response = await chat();
    const client = new SseClient(response);
    held.sequences[0]!.say('abc');
    held.sequences[0]!.finish();
    const ids = (await client.rest()).map(({ id }) => id);
    const answer = response.headers.get(ANSWER_HEADER)!;
    expect(answer).toMatch(/^[\w-]{22}$/);
    expect(ids.map((id) => id!.replace(/\.[0-9a-f]{8}$/, ''))).toEqual(
      ids.map((_, index) => `${answer}.${index + 1}`),
    );
    const other = await held.post('/v1/chat/completions', CHAT, { headers: { 'idempotency-key': 'other' } });
    expect(other.headers.get(ANSWER_HEADER)).not.toBe(answer);
    await other.body!.cancel();
  });

  it('is what it was without the header: no ids, and a hang-up ends it at once', async () => {
    const response = await held.post('/v1/chat/completions', CHAT);
    expect(response.headers.get(ANSWER_HEADER)).toBeNull();
    const client = new SseClient(response);
    held.sequences[0]!.say('Hi');
    await client.take(2);
    expect(client.raw).not.toContain('id:');
    await client.hangUp();
    await expect.poll(() => held.generator.open).toBe(0);
    expect(held.answers.count).toBe(0);
  });

  it('ends when nobody has read it for a while, and then is lost', async () => {
    const client = new SseClient(await chat());
    held.sequences[0]!.say('Hi');
    const [event] = await client.take(1);
    await client.hangUp();
    await held.timers.advance(ANSWER_LINGER_MS - 1);
    expect(held.generator.open).toBe(1);
    await held.timers.advance(1);
    await expect.poll(() => held.generator.open).toBe(0);
    expect(held.requests.count).toBe(0);
    expect(await errorOf(await chat(CHAT, behind(event!.id)))).toEqual([410, 'answer_lost']);
    expect(held.counts).toEqual(['unread']);
  });

  it('waits as long as it takes while somebody reads', async () => {
    const first = new SseClient(await chat());
    held.sequences[0]!.say('Hi');
    const read = await first.take(2);
    await first.hangUp();
    await held.timers.advance(ANSWER_LINGER_MS / 2);
    const second = new SseClient(await chat(CHAT, behind(read.at(-1)!.id)));
    await held.timers.advance(ANSWER_LINGER_MS * 10);
    held.sequences[0]!.say('!');
    held.sequences[0]!.finish();
    expect(textOf([...read, ...(await second.rest())])).toBe('Hi!');
  });

  it('that broke off tells those who read it how; who asks again has it computed again', async () => {
    const client = new SseClient(await chat());
    held.sequences[0]!.say('Hi');
    const [first] = await client.take(1);
    held.sequences[0]!.fail(new ShoalError('PIPELINE_LOST', 'all gone'));
    await client.rest();
    const rest = await new SseClient(await chat(CHAT, behind(first!.id))).rest();
    expect(rest.at(-1)!.data).toContain('pipeline_lost');
    const anew = new SseClient(await chat());
    held.sequences[1]!.say('Ho');
    held.sequences[1]!.finish();
    expect(textOf(await anew.rest())).toBe('Ho');
  });

  it('is refused to another body, another event and too many readers', async () => {
    const response = await chat();
    held.sequences[0]!.say('Hi');
    const answer = response.headers.get(ANSWER_HEADER);
    expect(await errorOf(await chat({ ...CHAT, temperature: 0 }))).toEqual([422, 'idempotency_key_reused']);
    const lenders = { 'x-shoal-lenders': 'provider-1' };
    expect(await errorOf(await chat(CHAT, lenders))).toEqual([422, 'idempotency_key_reused']);
    for (const id of [`${answer}.999`, `${'A'.repeat(22)}.1`, `${answer}.-1`, '1', '']) {
      expect(await errorOf(await chat(CHAT, { 'last-event-id': id }))).toEqual([410, 'answer_lost']);
    }
    const readers = [response];
    while (readers.length < MAX_ANSWER_READERS) readers.push(await chat());
    expect(await errorOf(await chat())).toEqual([429, 'rate_limited']);
    for (const { body } of readers) await body!.cancel();
  });

  it('ends at once, and is forgotten, where its client says so', async () => {
    const end = (key: string) =>
      held.send('/v1/chat/completions', { method: 'DELETE', headers: { 'idempotency-key': key } });
    const client = new SseClient(await chat());
    held.sequences[0]!.say('Hi');
    await client.take(2);
    expect(await errorOf(await end('other'))).toEqual([410, 'answer_lost']);
    expect((await held.send('/v1/chat/completions', { method: 'DELETE' })).status).toBe(400);
    expect(await (await end(KEY)).json()).toEqual({ ended: true });
    await expect
      .poll(() => [held.generator.open, held.requests.count, held.answers.count])
      .toEqual([0, 0, 0]);
    expect(held.answers.bytes).toBe(0);
    expect(await errorOf(await end(KEY))).toEqual([410, 'answer_lost']);
  });

  it('that nobody reads holds up no shutdown; one that is read is finished', async () => {
    const unread = new SseClient(await chat());
    held.sequences[0]!.say('Hi');
    await unread.take(1);
    await unread.hangUp();
    const read = new SseClient(await chat(CHAT, { 'idempotency-key': 'other' }));
    held.answers.endUnread(new ShoalError('SHUTTING_DOWN', 'bye'));
    await expect.poll(() => [held.generator.open, held.requests.count]).toEqual([1, 1]);
    held.sequences[1]!.say('Ho');
    held.sequences[1]!.finish();
    expect(textOf(await read.rest())).toBe('Ho');
  });

  it('is forgotten in time, and leaves no timer', async () => {
    const client = new SseClient(await chat());
    held.sequences[0]!.finish();
    const [first] = await client.rest();
    await expect.poll(() => held.answers.count).toBe(1);
    await held.timers.advance(ANSWER_KEPT_MS);
    expect([held.answers.count, held.answers.bytes, held.timers.pending]).toEqual([0, 0, 0]);
    expect(await errorOf(await chat(CHAT, behind(first!.id)))).toEqual([410, 'answer_lost']);
  });
});

describe('a whole answer with an Idempotency-Key', () => {
  it('is computed once for all who ask, also while it runs, and after a hang-up', async () => {
    const gone = new AbortController();
    const headers = { 'idempotency-key': KEY };
    const lost = held.post('/v1/chat/completions', WHOLE, { headers, signal: gone.signal });
    await turn();
    gone.abort();
    expect((await lost).status).toBe(499);
    const twice = [chat(WHOLE), chat(WHOLE)];
    await begun(1);
    held.sequences[0]!.say('Hello');
    held.sequences[0]!.finish();
    const texts = await Promise.all(twice.map(async (response) => (await response).text()));
    expect(texts[0]).toBe(texts[1]);
    expect(JSON.parse(texts[0]!).choices[0].message.content).toBe('Hello');
    const later = await chat(WHOLE);
    expect(later.headers.get('content-type')).toBe('application/json');
    expect(await later.text()).toBe(texts[0]);
    expect(held.generator.requests).toHaveLength(1);
  });

  it('that failed is not kept', async () => {
    const failing = chat(WHOLE);
    await begun(1);
    held.sequences[0]!.fail(new ShoalError('NO_PIPELINE', 'nobody there'));
    expect(await errorOf(await failing)).toEqual([503, 'no_pipeline']);
    expect(held.answers.count).toBe(0);
    const again = chat(WHOLE);
    await begun(2);
    held.sequences[1]!.finish();
    expect((await again).status).toBe(200);
  });

  it('refuses bad keys and bad requests, and keeps neither', async () => {
    expect(await errorOf(await chat(WHOLE, { 'idempotency-key': '' }))).toEqual([400, 'invalid_request']);
    const long = 'k'.repeat(256);
    expect(await errorOf(await chat(WHOLE, { 'idempotency-key': long }))).toEqual([400, 'invalid_request']);
    expect(await errorOf(await chat({ ...WHOLE, n: 0 }))).toEqual([400, 'invalid_request']);
    expect(await errorOf(await chat({ ...WHOLE, model: 'x' }))).toEqual([404, 'model_not_found']);
    await settle();
    expect(held.answers.count).toBe(0);
    expect(held.requests.count).toBe(0);
  });

  it('goes by the key in quotes, as the draft writes it, as without', async () => {
    const first = chat(WHOLE, { 'idempotency-key': `"${KEY}"` });
    await begun(1);
    held.sequences[0]!.finish();
    const text = await (await first).text();
    expect(await (await chat(WHOLE)).text()).toBe(text);
  });
});

describe('on the other endpoints', () => {
  it('/v1/completions resumes too', async () => {
    const body = { model: 'fake', prompt: 'Hi', stream: true };
    const ask = (headers = {}) =>
      held.post('/v1/completions', body, { headers: { 'idempotency-key': KEY, ...headers } });
    const first = new SseClient(await ask());
    held.sequences[0]!.say('ab');
    const [event] = await first.take(1);
    await first.hangUp();
    held.sequences[0]!.finish();
    const rest = await new SseClient(await ask(behind(event!.id))).rest();
    expect(JSON.parse(rest[0]!.data).choices[0].text).toBe('b');
  });

  it('Ollama’s lines, which have no ids, are counted', async () => {
    for (const path of ['/api/chat', '/api/generate']) {
      const body = {
        model: 'fake',
        ...(path === '/api/chat' ? { messages: CHAT.messages } : { prompt: 'Hi' }),
      };
      const ask = (headers = {}) =>
        held.post(path, body, { headers: { 'idempotency-key': path, ...headers } });
      const first = await ask();
      const sequence = held.sequences.at(-1)!;
      sequence.say('abc');
      const reader = first.body!.getReader();
      const line = new TextDecoder().decode((await reader.read()).value);
      await reader.cancel();
      sequence.finish();
      const answer = first.headers.get(ANSWER_HEADER);
      const rest = await (await ask({ 'last-event-id': `${answer}.1` })).text();
      const all = await (await ask()).text();
      expect(all).toBe(line + rest);
      const lines = all
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text));
      expect(lines.map((one) => one.message?.content ?? one.response).join('')).toBe('abc');
      expect(lines.at(-1).done).toBe(true);
    }
  });

  it('that make no answer the header means nothing', async () => {
    const show = () => held.post('/api/show', { model: 'fake' }, { headers: { 'idempotency-key': KEY } });
    expect((await show()).status).toBe(200);
    expect(held.answers.count).toBe(0);
  });
});
