import { describe, expect, it } from 'vitest';
import { sseBody, sseData, sseText } from '../../../src/backend/openai/sse.ts';
import { SSE_KEEPALIVE_MS } from '../../../src/config/limits.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe('sseBody', () => {
  it('sends a comment for every silent interval, and loses no event over it', async () => {
    const clock = new ManualClock();
    let release = () => {};
    async function* events() {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield sseData({ late: true });
    }
    const reader = sseBody(events(), clock, () => {}).getReader();
    for (let silent = 0; silent < 3; silent++) {
      await expect.poll(() => clock.waitingMs).toEqual([SSE_KEEPALIVE_MS]);
      clock.advance(SSE_KEEPALIVE_MS);
      expect(text((await reader.read()).value)).toBe(': waiting\n\n');
    }
    release();
    expect(text((await reader.read()).value)).toBe('data: {"late":true}\n\n');
    expect((await reader.read()).done).toBe(true);
    expect(clock.waitingMs).toEqual([]);
  });

  it('takes the next event only when the client reads, bar the one in hand', async () => {
    let made = 0;
    async function* events() {
      for (;;) yield sseData(++made);
    }
    const reader = sseBody(events(), new ManualClock(), () => {}).getReader();
    await reader.read();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(made).toBeLessThanOrEqual(2);
    await reader.cancel();
  });

  it('tells of a hang-up once and ends the events', async () => {
    let ended = false;
    const reasons: unknown[] = [];
    async function* events() {
      try {
        for (;;) yield sseData(1);
      } finally {
        ended = true;
      }
    }
    const reader = sseBody(events(), new ManualClock(), (reason) => reasons.push(reason)).getReader();
    await reader.read();
    await reader.cancel('gone');
    expect(reasons).toEqual(['gone']);
    expect(ended).toBe(true);
  });
});

it('writes text of several lines as several data lines', () => {
  expect(text(sseText('a\nb'))).toBe('data: a\ndata: b\n\n');
});
