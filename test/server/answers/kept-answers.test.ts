/** How many answers are kept, for whom, and how much of them. */
import { describe, expect, it } from 'vitest';
import {
  MAX_ANSWER_LOG_BYTES,
  MAX_KEPT_ANSWER_BYTES,
  MAX_KEPT_ANSWER_BYTES_PER_CLIENT,
  MAX_KEPT_ANSWERS_PER_CLIENT,
} from '../../../src/config/limits.ts';
import { type AnswerCount, KeptAnswers } from '../../../src/server/answers/kept-answers.ts';
import { readAnswer } from '../../../src/server/answers/read-answer.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { openApp } from '../access/support.ts';

/** The largest event is 1 MiB. */
const HALF_MIB = 512 * 1024;
const MIB = 2 * HALF_MIB;
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
const signal = new AbortController().signal;

function kept() {
  const counts: AnswerCount[] = [];
  const answers = new KeptAnswers({ timers: new FakeTimers(), onCount: (what) => counts.push(what) });
  let sent = 0;
  /** An endless stream of events of `bytes` each, or one that ends after `events`. */
  const ask = (key: string, owner: string, bytes = 10, events = Number.POSITIVE_INFINITY) =>
    answers.take({ owner, idempotencyKey: key, fingerprint: 'f', lastEventId: undefined }, () => async () => {
      const event = new TextEncoder().encode(`data: ${'x'.repeat(bytes)}\n\n`);
      let left = events;
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (left-- <= 0) controller.close();
            else {
              sent++;
              controller.enqueue(event.slice());
            }
          },
        },
        { highWaterMark: 0 },
      );
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    });
  const resume = (key: string, owner: string, id: string) => () =>
    answers.take({ owner, idempotencyKey: key, fingerprint: 'f', lastEventId: id }, () => {
      throw new Error('computed again');
    });
  return { answers, counts, ask, resume, sent: () => sent };
}

describe('kept answers', () => {
  it('of one client make room for each other, never those of others', async () => {
    const { answers, counts, ask } = kept();
    ask('theirs', 'key b', 10, 1);
    for (let at = 0; at < MAX_KEPT_ANSWERS_PER_CLIENT; at++) ask(`${at}`, 'key a', 10, 1);
    await turn();
    ask('one more', 'key a', 10, 1);
    expect(answers.count).toBe(MAX_KEPT_ANSWERS_PER_CLIENT + 1);
    expect(counts).toEqual(['evicted']);
    expect(ask('theirs', 'key b').isReplay).toBe(true);
    expect(ask('0', 'key a', 10, 1).isReplay).toBe(false);
  });

  it('that all run leave no room', () => {
    const { ask } = kept();
    for (let at = 0; at < MAX_KEPT_ANSWERS_PER_CLIENT; at++) ask(`${at}`, 'key a', 10, 0);
    expect(() => ask('one more', 'key a')).toThrow('on their way');
    expect(ask('theirs', 'key b', 10, 0).isReplay).toBe(false);
  });

  it('keep to their bytes, each client’s and all', async () => {
    const { answers, ask } = kept();
    for (let at = 0; at < 40; at++) ask(`${at}`, 'key a', HALF_MIB, 2);
    await turn();
    expect(answers.bytes).toBeLessThanOrEqual(MAX_KEPT_ANSWER_BYTES_PER_CLIENT + 2 * MIB);
    for (let client = 0; client < 6; client++) {
      for (let at = 0; at < 30; at++) ask(`${at}`, `key ${client}`, HALF_MIB, 2);
    }
    await turn();
    expect(answers.bytes).toBeLessThanOrEqual(MAX_KEPT_ANSWER_BYTES + 2 * MIB);
    expect(answers.bytes).toBeGreaterThan(MAX_KEPT_ANSWER_BYTES / 2);
  });

  it('that are long let go of what was read, and wait for who is behind', async () => {
    const { answers, ask, resume, sent } = kept();
    const { answer } = ask('long', 'key a', HALF_MIB);
    const response = await readAnswer(answer, { after: 0, digest: null, isReplay: false, signal });
    await turn();
    const most = MAX_ANSWER_LOG_BYTES / HALF_MIB + 2;
    expect(sent()).toBeLessThanOrEqual(most);
    const reader = response.body!.getReader();
    for (let at = 0; at < 20; at++) expect((await reader.read()).done).toBe(false);
    await turn();
    expect(sent()).toBeGreaterThan(20);
    expect(sent()).toBeLessThanOrEqual(20 + most);
    expect(answer.log.bytes).toBeLessThanOrEqual(MAX_ANSWER_LOG_BYTES + 2 * MIB);
    const taken = resume('long', 'key a', `${answer.identity.id}.2`)();
    const late = readAnswer(taken.answer, { ...taken, signal });
    await expect(late).rejects.toThrow('no longer kept');
    // Before its reader goes: the stream of this test never ends and never waits.
    answers.close();
    await reader.cancel();
  });

  it('are another client’s own business', () => {
    const { answers, ask, resume } = kept();
    const { answer } = ask('k', 'key a', 10, 0);
    expect(ask('k', 'key b', 10, 0).answer).not.toBe(answer);
    expect(resume('k', 'key c', `${answer.identity.id}.1`)).toThrow('no such answer');
    expect(resume('k', 'address 1.2.3.4', `${answer.identity.id}.1`)).toThrow('no such answer');
    expect(answers.count).toBe(2);
  });

  it('follow a client without a key to another address, if he names an event of his', () => {
    const { ask, resume } = kept();
    const { answer } = ask('k', 'address 1.2.3.4', 10, 0);
    const id = `${answer.identity.id}.0`;
    expect(resume('k', 'address 5.6.7.8', id)().answer).toBe(answer);
    expect(resume('other', 'address 5.6.7.8', id)).toThrow('no such answer');
    expect(ask('k', 'address 5.6.7.8', 10, 0).isReplay).toBe(false);
  });
});

describe('places of a client', () => {
  it('are the answer’s while it runs, read or not, and none is needed to go on reading', async () => {
    const { backend, chat } = openApp({ now: () => 0, concurrent: 1 });
    const ask = (key: string, more = {}) =>
      chat({ 'idempotency-key': key, ...more }, '9.9.9.9', { stream: true });
    const first = await ask('a');
    const reader = first.body!.getReader();
    await reader.read();
    await reader.cancel();
    expect((await ask('b')).status).toBe(429);
    expect((await chat({}, '9.9.9.9')).status).toBe(429);
    const again = await ask('a', { 'last-event-id': `${first.headers.get('x-shoal-answer')}.1` });
    expect(again.status).toBe(200);
    backend.ends[0]!();
    expect(await again.text()).toBe('');
    expect((await chat({}, '9.9.9.9')).status).toBe(200);
  });
});
