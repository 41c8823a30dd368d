/** A server that is started anew on the same --state, with and without answers that ran. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../../src/config/errors.ts';
import { ANSWER_KEPT_MS, ANSWER_LINGER_MS } from '../../../src/config/limits.ts';
import { AnswerKeeper } from '../../../src/server/answers/answer-keeper.ts';
import { DirectoryStore } from '../../../src/server/answers/directory-store.ts';
import { restoreAnswers } from '../../../src/server/answers/restore.ts';
import { until } from '../../support/until.ts';
import { type HeldApp, heldApp, SseClient, textOf } from './support.ts';

const CHAT = { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], stream: true };
const KEY = 'f3b0c442-98fc';
const log = pino({ level: 'silent' });
const errorOf = async (response: Response) => [response.status, (await response.json()).error.code];

let directory: string;
let nowMs: number;
const now = () => nowMs;
beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** @param variant of what is served */
async function start(variant = '', never = false): Promise<HeldApp & { store: DirectoryStore }> {
  const store = await DirectoryStore.open({ directory, key: null, now, log });
  const held = heldApp({ keeper: new AnswerKeeper(store, now), variant, never });
  await restoreAnswers({ store, answers: held.answers, fetch: held.app.fetch, now, log });
  return { ...held, store };
}
/** The stored request was made again. */
const begun = (held: HeldApp) => until(() => held.generator.requests.length > 0);
const files = () => readdir(join(directory, 'answers'));
const chat = (held: HeldApp, lastEventId?: string | null, body: object = CHAT) =>
  held.post('/v1/chat/completions', body, {
    headers: { 'idempotency-key': KEY, ...(lastEventId && { 'last-event-id': lastEventId }) },
  });

describe('after a restart', () => {
  it('a running answer is made again with the same seed, head and sequence, and read on', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hel');
    const read = await client.take(3);
    await before.store.settled();
    const first = before.generator.requests[0]!;
    // As killed: nothing of it is told that it ends.
    const after = await start();
    await begun(after);
    const again = after.generator.requests[0]!;
    expect(again.resume).toEqual({ sequence: before.sequences[0]!.number, ids: [] });
    expect([again.prompt, again.sampling, again.maxTokens]).toEqual([
      first.prompt,
      first.sampling,
      first.maxTokens,
    ]);
    const resumed = new SseClient(await chat(after, read.at(-1)!.id));
    after.sequences[0]!.say('Hello');
    after.sequences[0]!.finish();
    const rest = await resumed.rest();
    expect(textOf([...read, ...rest])).toBe('Hello');
    const heads = [...read, ...rest.slice(0, -1)].map(({ data }) => JSON.parse(data));
    expect(new Set(heads.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    expect(after.generator.requests).toHaveLength(1);
    expect(after.counts).toEqual(['restored', 'resumed']);
  });

  it('one that had no token yet begins anew, the same', async () => {
    const before = await start('', true);
    await chat(before);
    const { seed } = before.generator.requests[0]!.sampling;
    const after = await start();
    await begun(after);
    expect(after.generator.requests[0]!.sampling.seed).toBe(seed);
    // It waits for workers to be back, as one that has a number does.
    expect(after.generator.requests[0]!.resume).toEqual({ sequence: null, ids: [] });
  });

  it('Ollama’s answers go on too, line by line', async () => {
    const ask = (held: HeldApp, more = {}) =>
      held.post(
        '/api/chat',
        { ...CHAT, options: { seed: 5 } },
        { headers: { 'idempotency-key': KEY, ...more } },
      );
    const before = await start();
    const response = await ask(before);
    before.sequences[0]!.say('ab');
    const reader = response.body!.getReader();
    await reader.read();
    await before.store.settled();
    const after = await start();
    await begun(after);
    const resumed = await ask(after, { 'last-event-id': `${response.headers.get('x-shoal-answer')}.1` });
    after.sequences[0]!.say('abc');
    after.sequences[0]!.finish();
    const lines = (await resumed.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ message }) => message.content).join('')).toBe('bc');
  });

  it('an answer that had ended is there for as long as it would have been', async () => {
    const before = await start();
    const response = await chat(before);
    before.sequences[0]!.say('Hi');
    before.sequences[0]!.finish();
    const all = await response.text();
    await before.store.settled();
    nowMs += ANSWER_KEPT_MS / 2;
    const after = await start();
    expect(await (await chat(after)).text()).toBe(all);
    expect(after.generator.requests).toHaveLength(0);
    await after.timers.advance(ANSWER_KEPT_MS / 2);
    await after.store.settled();
    expect(after.answers.count).toBe(0);
    expect(await files()).toEqual([]);
  });

  it('what is too old, or was read by nobody, is gone from the disk', async () => {
    const before = await start();
    const response = await chat(before);
    before.sequences[0]!.finish();
    await response.text();
    await before.store.settled();
    nowMs += ANSWER_KEPT_MS + 1;
    expect((await start()).answers.count).toBe(0);
    expect(await files()).toEqual([]);

    const running = await start();
    await (await chat(running)).body!.cancel();
    await running.store.settled();
    expect(await files()).toHaveLength(1);
    const after = await start();
    await begun(after);
    await after.timers.advance(ANSWER_LINGER_MS);
    await expect
      .poll(async () => [after.generator.open, after.answers.count, await files()])
      .toEqual([0, 0, []]);
  });

  it('another model is no answer: what is lost is told', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hi');
    const read = await client.take(2);
    await before.store.settled();
    const after = await start('q4');
    expect(await errorOf(await chat(after, read.at(-1)!.id))).toEqual([410, 'answer_lost']);
    expect(after.generator.requests).toHaveLength(0);
    await expect.poll(files).toEqual([]);
  });

  it('an answer that became shorter says so to who has more of it', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hello');
    const read = await client.take(6);
    await before.store.settled();
    const after = await start();
    await begun(after);
    const resumed = await chat(after, read.at(-1)!.id);
    after.sequences[0]!.say('H');
    after.sequences[0]!.finish();
    const [told] = await new SseClient(resumed).rest();
    expect(told).toMatchObject({ id: null, data: expect.stringContaining('ended before this event') });
  });

  it('an answer that became another is never spliced to what was read of the first', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hello');
    const read = await client.take(4);
    await before.store.settled();
    const after = await start();
    await begun(after);
    const early = new SseClient(await chat(after, read.at(-1)!.id));
    after.sequences[0]!.say('Hallo, you');
    // Whoever reads on before that is made again learns it as soon as it is.
    expect(await early.rest()).toMatchObject([{ id: null, data: expect.stringContaining('answer_lost') }]);
    // Who comes later at once.
    expect(await errorOf(await chat(after, read.at(-1)!.id))).toEqual([410, 'answer_lost']);
    // Of an event before they parted the rest is as good as any.
    const [first] = await new SseClient(await chat(after, read[1]!.id)).take(1);
    expect(JSON.parse(first!.data).choices[0].delta.content).toBe('a');
  });

  describe('an answer of several choices', () => {
    const TWO = { ...CHAT, n: 2 };

    /** Both choices say so much, in this order. */
    const sayIn = async (held: HeldApp, client: SseClient, ...order: [number, string][]) => {
      const events = await client.take(2);
      for (const [index, text] of order) {
        held.sequences[index]!.say(text);
        events.push(...(await client.take(text.length)));
      }
      return events;
    };

    it('goes on where its events come in the same order', async () => {
      const before = await start();
      const read = await sayIn(before, new SseClient(await chat(before, null, TWO)), [0, 'ab'], [1, 'x']);
      await before.store.settled();
      const after = await start();
      await until(() => after.sequences.length === 2);
      const client = new SseClient(await chat(after, read.at(-2)!.id, TWO));
      const whole = new SseClient(await chat(after, null, TWO));
      await sayIn(after, whole, [0, 'ab'], [1, 'x']);
      expect((await client.take(1))[0]).toEqual(read.at(-1));
    });

    it('is lost for who has read it in another order: no token is missed or seen twice', async () => {
      const before = await start();
      const read = await sayIn(
        before,
        new SseClient(await chat(before, null, TWO)),
        [0, 'ab'],
        [1, 'x'],
        [0, 'c'],
      );
      await before.store.settled();
      const after = await start();
      await until(() => after.sequences.length === 2);
      const again = await sayIn(after, new SseClient(await chat(after, null, TWO)), [0, 'abc'], [1, 'x']);
      expect(again.at(-2)!.data).not.toBe(read.at(-2)!.data);
      expect(await errorOf(await chat(after, read.at(-2)!.id, TWO))).toEqual([410, 'answer_lost']);
      // Without a digest nobody can tell.
      const counted = read[2]!.id!.split('.').slice(0, 2).join('.');
      expect(await errorOf(await chat(after, counted, TWO))).toEqual([410, 'answer_lost']);
      expect((await chat(after, read[2]!.id, TWO)).status).toBe(200);
    });
  });

  it('a failed answer is not stored', async () => {
    const before = await start();
    const response = await chat(before);
    before.sequences[0]!.fail(new ShoalError('PIPELINE_LOST', 'gone'));
    await response.text();
    await before.store.settled();
    expect(await files()).toEqual([]);
  });

  it('in good order: what a server breaks off that stops, the next one takes up', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hel');
    const read = await client.take(3);
    before.answers.endUnread(new ShoalError('SHUTTING_DOWN', 'bye'));
    before.answers.breakOff();
    // Told without an id: the next event has it.
    const told = await client.rest();
    expect(told).toEqual([{ id: null, data: expect.stringContaining('shutting_down') }]);
    before.answers.close();
    await expect.poll(() => before.generator.open).toBe(0);
    await before.store.settled();
    const after = await start();
    await begun(after);
    const resumed = new SseClient(await chat(after, read.at(-1)!.id));
    after.sequences[0]!.say('Hello');
    after.sequences[0]!.finish();
    expect(textOf([...read, ...(await resumed.rest())])).toBe('Hello');
  });

  it('only its own client reads it', async () => {
    const before = await start();
    const client = new SseClient(await chat(before));
    before.sequences[0]!.say('Hi');
    const read = await client.take(2);
    await before.store.settled();
    const after = await start();
    const other = await after.app.fetch(
      new Request('http://localhost:1/v1/chat/completions', {
        method: 'POST',
        body: JSON.stringify({ ...CHAT, seed: 3 }),
        headers: { 'idempotency-key': KEY, 'last-event-id': read[1]!.id! },
      }),
      { incoming: { socket: { remoteAddress: '9.9.9.9' } } },
    );
    expect(other.status).toBe(422);
  });
});
