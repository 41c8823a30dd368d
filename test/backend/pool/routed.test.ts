import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import type { AnswerReport, Backend } from '../../../src/backend/backend.ts';
import { NodePool, type PoolNode } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { ToldByBackend } from '../../../src/backend/told-by-backend.ts';
import { type ErrorCode, ShoalError } from '../../../src/config/errors.ts';
import {
  BREAKER_BACKOFF_MIN_MS,
  BREAKER_FAILURES,
  MAX_ROUTE_ATTEMPTS,
  NODE_BUSY_MAX_MS,
  NODE_FRESH_MS,
  NODE_MODELS_MS,
  NODE_PROBE_MS,
  ROUTE_BACKOFF_MS,
  ROUTE_DEADLINE_MS,
  UPSTREAM_PROBE_MS,
} from '../../../src/config/limits.ts';
import { seededRandom } from '../../mesh/seeded.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedBackend, type ScriptedCall } from '../../support/scripted-backend.ts';

/** Lets all promises that do not wait for the clock settle. */
const settled = () => new Promise((done) => setImmediate(done));
const failed = (code: ErrorCode = 'BACKEND_FAILED', more: { retryAfterSeconds?: number } = {}) =>
  new ShoalError(code, `it has ${code}`, more);

class Setup {
  readonly clock = new ManualClock();
  readonly pool = new NodePool({ clock: this.clock, random: () => 1 });
  readonly routed: Backend = createRoutedBackend({
    pool: this.pool,
    provider: 'custom',
    clock: this.clock,
    random: () => 1,
  });
  readonly nodes: ScriptedBackend[];
  readonly removers: (() => Promise<void>)[];

  private constructor(nodes: ScriptedBackend[], about: (index: number) => Partial<PoolNode>) {
    this.nodes = nodes;
    this.removers = nodes.map((backend, index) =>
      this.pool.add({
        id: `n${index}`,
        name: `host${index}:1`,
        backend,
        maxConcurrent: 4,
        anyModel: false,
        ...about(index),
      }),
    );
  }

  static async of(
    nodes: number | ScriptedBackend[],
    about: (index: number) => Partial<PoolNode> = () => ({}),
  ): Promise<Setup> {
    const all =
      typeof nodes === 'number' ? Array.from({ length: nodes }, () => new ScriptedBackend()) : nodes;
    const setup = new Setup(all, about);
    await settled();
    return setup;
  }

  send(model = 'm', hangUp = new AbortController()) {
    const reports: AnswerReport[] = [];
    const answer = this.routed.chatCompletions(
      { model },
      { signal: hangUp.signal, onAnswered: (report) => reports.push(report) },
    );
    answer.catch(() => {});
    return { answer, reports, hangUp };
  }

  status(index = 0) {
    return this.pool.statuses()[index]!;
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settled();
  }
}

const calls = ({ nodes }: Setup) => nodes.map((node) => node.calls.length);

describe('a pool of one', () => {
  it('passes everything on, also a model that the node does not list, and the answer itself', async () => {
    const setup = await Setup.of(1);
    const { answer } = setup.send('other');
    setup.nodes[0]!.last.starts();
    const response = await answer;
    expect(response).toBe(await setup.nodes[0]!.last.outcome);
    expect(setup.nodes[0]!.last.body).toEqual({ model: 'other' });
  });

  it('sends a request once: what broke off may have reached the node', async () => {
    const setup = await Setup.of(1);
    const { answer } = setup.send();
    setup.nodes[0]!.last.throws(failed());
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND_FAILED', message: 'it has BACKEND_FAILED' });
    await setup.pass(60_000);
    expect(calls(setup)).toEqual([1]);
  });

  it('tells when to come back while its breaker is open', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    for (let i = 0; i < BREAKER_FAILURES; i++) await setup.send().answer.catch(() => {});
    await expect(setup.send().answer).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      retryAfterSeconds: BREAKER_BACKOFF_MIN_MS / 1000,
      message: expect.stringContaining('it has BACKEND_FAILED'),
    });
    expect(calls(setup)).toEqual([BREAKER_FAILURES]);
  });
});

describe('which node', () => {
  it('is one that lists the model', async () => {
    const setup = await Setup.of([new ScriptedBackend(['a']), new ScriptedBackend(['b', 'c:latest'])]);
    setup.send('b');
    setup.send('c');
    setup.send('a');
    await settled();
    expect(calls(setup)).toEqual([1, 2]);
  });

  it('is one that answers to any name only where none lists the model', async () => {
    const setup = await Setup.of([new ScriptedBackend(['a']), new ScriptedBackend(['b'])], (index) => ({
      anyModel: index === 1,
      maxConcurrent: 1,
    }));
    setup.send('a');
    await expect(setup.send('a').answer).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(calls(setup)).toEqual([1, 0]);
    setup.send('unheard');
    await settled();
    expect(calls(setup)).toEqual([1, 1]);
  });

  it('is none for a model that nobody has, and the nearest name is told', async () => {
    const setup = await Setup.of([new ScriptedBackend(['minnow-1']), new ScriptedBackend(['whale'])]);
    await expect(setup.send('minow-1').answer).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      param: 'model',
      message: 'no model "minow-1" on any node; did you mean minnow-1?',
    });
    await expect(setup.send('gpt').answer).rejects.toThrow(
      'no model "gpt" on any node; there is: minnow-1, whale',
    );
  });

  it('looks for a new model once the lists are no longer fresh, and not with every wrong name', async () => {
    const setup = await Setup.of(2);
    setup.nodes[1]!.listed = ['m', 'new'];
    await setup.send('new').answer.catch(() => {});
    const asked = setup.nodes[1]!.modelRequests;
    expect(calls(setup)).toEqual([0, 0]);
    await setup.pass(NODE_FRESH_MS + 1);
    setup.send('new');
    await settled();
    expect(calls(setup)).toEqual([0, 1]);
    for (let i = 0; i < 10; i++) await setup.send('wrong').answer.catch(() => {});
    expect(setup.nodes[1]!.modelRequests).toBe(asked + 1);
  });

  it('asks a node that gives no list once a while, not with every wrong name', async () => {
    const setup = await Setup.of(2);
    for (const node of setup.nodes) node.listed = failed();
    await setup.pass(NODE_FRESH_MS + 1);
    const asked = setup.nodes[0]!.modelRequests;
    for (let i = 0; i < 10; i++) await setup.send('wrong').answer.catch(() => {});
    expect(setup.nodes[0]!.modelRequests).toBe(asked + 1);
  });

  it('uses an old list while it is refreshed in the background', async () => {
    const setup = await Setup.of(2);
    await setup.pass(NODE_MODELS_MS + 1);
    const asked = setup.nodes[0]!.modelRequests;
    setup.send();
    expect(calls(setup).toSorted()).toEqual([0, 1]);
    expect(setup.nodes[0]!.modelRequests).toBe(asked + 1);
  });

  it('is one whose list has not come, where no other can', async () => {
    const setup = await Setup.of([new ScriptedBackend(['a']), new ScriptedBackend(failed())]);
    setup.send('b');
    await settled();
    expect(calls(setup)).toEqual([0, 1]);
  });

  it('is no mesh without a pipeline as long as a server with the model is ready', async () => {
    let isReady = false;
    const setup = await Setup.of(2, (index) => (index === 0 ? { isReady: () => isReady } : {}));
    for (let i = 0; i < 4; i++) setup.send();
    expect(calls(setup)).toEqual([0, 4]);
    isReady = true;
    setup.send();
    expect(calls(setup)).toEqual([1, 4]);
  });

  it('is the mesh without a pipeline where it is the only one, and it stays open to all requests', async () => {
    const setup = await Setup.of(1, () => ({ isReady: () => false }));
    setup.nodes[0]!.answer = (call) => call.throws(failed('NO_PIPELINE'));
    for (let i = 0; i < 2 * BREAKER_FAILURES; i++) {
      await expect(setup.send().answer).rejects.toMatchObject({ code: 'NO_PIPELINE' });
    }
  });

  it('is none in an empty pool', async () => {
    const setup = await Setup.of(0);
    await expect(setup.send().answer).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });
});

describe('another node', () => {
  const retried: ErrorCode[] = [
    'BACKEND_FAILED',
    'DEADLINE_EXCEEDED',
    'ADDRESS_REFUSED',
    'NO_PIPELINE',
    'OVERLOADED',
    'MODEL_NOT_FOUND',
    'UNSUPPORTED_PARAMETER',
  ];
  it.each(retried)('is tried after %s', async (code) => {
    const setup = await Setup.of(2);
    const { answer, reports } = setup.send();
    setup.nodes[0]!.last.throws(failed(code));
    await settled();
    await setup.pass(ROUTE_BACKOFF_MS);
    setup.nodes[1]!.last.ends();
    expect((await answer).status).toBe(200);
    expect(reports).toMatchObject([{ outcome: 'stop' }]);
  });

  it('is tried in the client’s time: what was waited for the first counts for the answer, not for the node', async () => {
    const setup = await Setup.of(2);
    const { answer, reports } = setup.send();
    setup.clock.advance(20_000);
    setup.nodes[0]!.last.throws(failed('DEADLINE_EXCEEDED'));
    await settled();
    await setup.pass(ROUTE_BACKOFF_MS);
    setup.clock.advance(1_100);
    setup.nodes[1]!.last.ends({ timeToFirstTokenMs: 100, durationMs: 1_100 });
    await answer;
    const before = 20_000 + ROUTE_BACKOFF_MS;
    expect(reports).toMatchObject([{ timeToFirstTokenMs: before + 100, durationMs: before + 1_100 }]);
    expect(setup.status(1)).toMatchObject({ timeToFirstTokenMs: 100, tokensPerSecond: 10 });
  });

  it.each([500, 502, 503, 429, 401, 404])(
    'is tried after status %d, whose report is not the client’s',
    async (status) => {
      const setup = await Setup.of(2);
      const { answer, reports } = setup.send();
      setup.nodes[0]!.last.refuses(status);
      await settled();
      await setup.pass(ROUTE_BACKOFF_MS);
      setup.nodes[1]!.last.ends();
      expect((await answer).status).toBe(200);
      expect(reports).toMatchObject([{ outcome: 'stop' }]);
    },
  );

  it.each([400, 413, 422])('is not tried after status %d, which is the client’s', async (status) => {
    const setup = await Setup.of(2);
    const { answer, reports } = setup.send();
    setup.nodes[0]!.last.refuses(status);
    expect((await answer).status).toBe(status);
    expect(reports).toMatchObject([{ outcome: 'error' }]);
    expect(calls(setup)).toEqual([1, 0]);
  });

  it('is not tried after INVALID_REQUEST', async () => {
    const setup = await Setup.of(2);
    const { answer } = setup.send();
    setup.nodes[0]!.last.throws(failed('INVALID_REQUEST'));
    await expect(answer).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    expect(calls(setup)).toEqual([1, 0]);
  });

  it('is never tried once an answer has begun', async () => {
    const setup = await Setup.of(2);
    const { answer, reports } = setup.send();
    setup.nodes[0]!.last.starts();
    const response = await answer;
    setup.nodes[0]!.last.breaks();
    await response.text();
    await setup.pass(60_000);
    expect(calls(setup)).toEqual([1, 0]);
    expect(reports).toMatchObject([{ outcome: 'error' }]);
    expect(setup.status()).toMatchObject({ inFlight: 0, lastError: 'an answer broke off' });
  });

  it(`is tried ${MAX_ROUTE_ATTEMPTS} times at most, each on a node of its own, with growing pauses`, async () => {
    const setup = await Setup.of(5);
    for (const node of setup.nodes) node.answer = (call) => call.throws(failed());
    const { answer } = setup.send();
    await settled();
    expect(setup.clock.waitingMs).toContain(ROUTE_BACKOFF_MS);
    await setup.pass(ROUTE_BACKOFF_MS);
    expect(setup.clock.waitingMs).toContain(2 * ROUTE_BACKOFF_MS);
    await setup.pass(2 * ROUTE_BACKOFF_MS);
    await expect(answer).rejects.toMatchObject({
      code: 'BACKEND_FAILED',
      message: `it has BACKEND_FAILED (${MAX_ROUTE_ATTEMPTS} nodes were tried)`,
    });
    expect(calls(setup)).toEqual([1, 1, 1, 0, 0]);
  });

  it('is not tried when the request has taken too long already', async () => {
    const setup = await Setup.of(2);
    const { answer } = setup.send();
    setup.clock.advance(ROUTE_DEADLINE_MS + 1);
    setup.nodes[0]!.last.throws(failed('DEADLINE_EXCEEDED'));
    await expect(answer).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(calls(setup)).toEqual([1, 0]);
  });

  it('is not tried when the client has hung up, during a try or between two', async () => {
    const setup = await Setup.of(2);
    const first = setup.send();
    first.hangUp.abort();
    await expect(first.answer).rejects.toBeDefined();
    expect(calls(setup)).toEqual([1, 0]);
    const second = setup.send();
    setup.nodes[1]!.last.throws(failed());
    await settled();
    second.hangUp.abort();
    await expect(second.answer).rejects.toMatchObject({ code: 'ABORTED' });
    expect(calls(setup)).toEqual([1, 1]);
    expect(setup.pool.statuses().map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('leaves the client with the most telling error', async () => {
    const setup = await Setup.of(3);
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    setup.nodes[1]!.answer = (call) => call.refuses(429, { 'retry-after': '7' }, 'too many');
    setup.nodes[2]!.answer = (call) => call.throws(failed('DEADLINE_EXCEEDED'));
    const { answer } = setup.send();
    await settled();
    await setup.pass(ROUTE_BACKOFF_MS);
    await setup.pass(2 * ROUTE_BACKOFF_MS);
    const response = await answer;
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await response.json()).toEqual({ error: { message: 'too many (3 nodes were tried)' } });
  });
});

describe('a busy node', () => {
  it('gets nothing until the time that it named, and its breaker stays closed', async () => {
    const setup = await Setup.of(2);
    setup.nodes[0]!.answer = (call) => call.refuses(429, { 'retry-after': '20' });
    setup.nodes[1]!.answer = (call) => call.ends();
    for (let i = 0; i < 10; i++) {
      const { answer } = setup.send();
      await settled();
      await setup.pass(ROUTE_BACKOFF_MS);
      await answer;
    }
    expect(calls(setup)).toEqual([1, 10]);
    expect(setup.status().state).toBe('busy');
    await setup.pass(20_000);
    expect(setup.status().state).toBe('ready');
    for (let i = 0; i < 2; i++) setup.send();
    expect(calls(setup)[0]).toBe(2);
  });

  it('refuses for itself where it is the only one, with the time that is left', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.throws(failed('RATE_LIMITED', { retryAfterSeconds: 20 }));
    await setup.send().answer.catch(() => {});
    await setup.pass(5_000);
    await expect(setup.send().answer).rejects.toMatchObject({ code: 'OVERLOADED', retryAfterSeconds: 15 });
    expect(calls(setup)).toEqual([1]);
  });

  it('is not left alone longer than a bound', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.throws(failed('RATE_LIMITED', { retryAfterSeconds: 86_400 }));
    await setup.send().answer.catch(() => {});
    await setup.pass(NODE_BUSY_MAX_MS);
    await setup.send().answer.catch(() => {});
    expect(calls(setup)).toEqual([2]);
  });

  it('that takes turns by client is asked again for the next, whatever time it named for one', async () => {
    const setup = await Setup.of(1, () => ({ takesTurns: true }));
    setup.nodes[0]!.answer = (call) => call.refuses(429, { 'retry-after': '15' });
    await setup.send().answer;
    await setup.send().answer;
    expect(calls(setup)).toEqual([2]);
  });

  it('that named no time is asked again where it is the only one', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.refuses(429);
    await setup.send().answer;
    await setup.send().answer;
    expect(calls(setup)).toEqual([2]);
  });

  it('never has more than maxConcurrent; beyond that the client is told to come back', async () => {
    const setup = await Setup.of(2, () => ({ maxConcurrent: 2 }));
    const sent = Array.from({ length: 4 }, () => setup.send());
    await expect(setup.send().answer).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryAfterSeconds: expect.any(Number),
      message: expect.stringContaining('4 of 4 requests'),
    });
    expect(calls(setup)).toEqual([2, 2]);
    setup.nodes[1]!.calls[0]!.ends();
    await settled();
    setup.send();
    expect(calls(setup)).toEqual([2, 3]);
    expect(sent).toHaveLength(4);
  });
});

describe('a place on a node', () => {
  const ends: [string, (call: ScriptedCall, response: Response, hangUp: AbortController) => unknown][] = [
    ['ended', (call) => call.ends()],
    ['broke off', (call) => call.breaks()],
    ['was cancelled', (_, response) => response.body!.cancel()],
    ['was left by its client, and nobody cancelled it', (_, __, hangUp) => hangUp.abort()],
  ];
  it.each(ends)('is held until the answer %s, and given back once', async (_, end) => {
    const setup = await Setup.of(1);
    const { answer, hangUp } = setup.send();
    expect(setup.status().inFlight).toBe(1);
    setup.nodes[0]!.last.starts();
    const response = await answer;
    expect(setup.status().inFlight).toBe(1);
    await end(setup.nodes[0]!.last, response, hangUp);
    await settled();
    expect(setup.status().inFlight).toBe(0);
    setup.nodes[0]!.last.report('aborted');
    hangUp.abort();
    expect(setup.status().inFlight).toBe(0);
  });

  it('is given back when the backend throws without a word', async () => {
    const setup = await Setup.of(1);
    const { answer } = setup.send();
    setup.nodes[0]!.last.throws(new TypeError('a fault in the backend'));
    await expect(answer).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(setup.status().inFlight).toBe(0);
  });

  it('does not count against a node whose clients hang up', async () => {
    const setup = await Setup.of(1);
    for (let i = 0; i < 3 * BREAKER_FAILURES; i++) {
      const { answer, hangUp } = setup.send();
      hangUp.abort();
      await answer.catch(() => {});
    }
    expect(setup.status()).toMatchObject({ state: 'ready', inFlight: 0 });
  });
});

describe('a node that fails', () => {
  async function broken(): Promise<Setup> {
    const setup = await Setup.of(2);
    setup.nodes[0]!.ready = { ready: false, detail: 'connection refused' };
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    setup.nodes[1]!.answer = (call) => call.ends();
    for (let i = 0; i < 30; i++) {
      const { answer } = setup.send();
      await settled();
      await setup.pass(ROUTE_BACKOFF_MS);
      expect((await answer).status).toBe(200);
    }
    return setup;
  }

  it('gets almost nothing, and no client sees it', async () => {
    const setup = await broken();
    expect(setup.nodes[0]!.calls.length).toBeLessThanOrEqual(BREAKER_FAILURES);
    expect(setup.nodes[1]!.calls.length).toBe(30);
  });

  it('is asked in the background, and is back as soon as it says so', async () => {
    const setup = await broken();
    const before = setup.nodes[0]!.probes;
    await setup.pass(NODE_PROBE_MS);
    await setup.pass(NODE_PROBE_MS);
    expect(setup.nodes[0]!.probes).toBe(before + 2);
    setup.nodes[0]!.ready = { ready: true, detail: 'well' };
    setup.nodes[0]!.answer = (call) => call.ends();
    await setup.pass(NODE_PROBE_MS);
    const had = setup.nodes[0]!.calls.length;
    for (let i = 0; i < 10; i++) await setup.send().answer;
    expect(setup.nodes[0]!.calls.length).toBeGreaterThan(had);
    const asked = setup.nodes[0]!.probes;
    await setup.pass(10 * NODE_PROBE_MS);
    expect(setup.nodes[0]!.probes).toBe(asked);
  });

  it('need not wait for the end of a long back-off once it is ready again', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.ready = { ready: false, detail: 'connection refused' };
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    for (let i = 0; i < BREAKER_FAILURES + 4; i++) {
      await setup.send().answer.catch(() => {});
      if (i < BREAKER_FAILURES + 3) await setup.pass(setup.status().state === 'failing' ? 2 ** 5 * 1_000 : 0);
    }
    await settled();
    expect(setup.status().state).toBe('failing');
    setup.nodes[0]!.ready = { ready: true, detail: 'well' };
    await setup.pass(NODE_PROBE_MS);
    expect(setup.status().state).toBe('ready');
  });

  it('that says it is ready has to wait for its back-off all the same', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    for (let i = 0; i < BREAKER_FAILURES; i++) await setup.send().answer.catch(() => {});
    await settled();
    expect(setup.status().state).toBe('failing');
    await setup.pass(BREAKER_BACKOFF_MIN_MS - 1);
    expect(setup.status().state).toBe('failing');
    await setup.pass(1);
    expect(setup.status().state).toBe('probing');
  });

  it('is still asked where it is the last, if it says why itself: a request that it cannot do is one client’s', async () => {
    const setup = await Setup.of(1);
    const node = setup.nodes[0]!;
    const told = new ShoalError('BACKEND_FAILED', 'answered 500', { cause: new ToldByBackend(500) });
    node.answer = (call) => (JSON.stringify(call.body).includes('poison') ? call.throws(told) : call.ends());
    for (let i = 0; i < 3 * BREAKER_FAILURES; i++) {
      await expect(setup.send('poison').answer).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
    }
    await settled();
    expect(setup.status().state).toBe('failing');
    expect(await setup.routed.readiness(new AbortController().signal)).toMatchObject({ ready: true });
    expect((await setup.send().answer).status).toBe(200);
    expect(setup.status().state).toBe('ready');
    // One that says that it is not ready is left alone.
    for (let i = 0; i < BREAKER_FAILURES; i++) await setup.send('poison').answer.catch(() => {});
    node.ready = { ready: false, detail: 'the engine is dead' };
    await setup.pass(NODE_PROBE_MS);
    await setup.send('poison').answer.catch(() => {});
    await setup.pass(0);
    await expect(setup.send().answer).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('mid-stream is opened like one that fails before', async () => {
    const setup = await Setup.of(1);
    for (let i = 0; i < BREAKER_FAILURES; i++) {
      const { answer } = setup.send();
      setup.nodes[0]!.last.starts();
      await answer;
      setup.nodes[0]!.last.breaks();
    }
    expect(setup.status().state).toBe('failing');
  });

  it('makes 503 with the soonest trial, when all do', async () => {
    const setup = await Setup.of(2);
    for (const node of setup.nodes) node.answer = (call) => call.throws(failed());
    for (let i = 0; i < 2 * BREAKER_FAILURES; i++) {
      const { answer } = setup.send();
      await settled();
      setup.clock.advance(ROUTE_BACKOFF_MS);
      await answer.catch(() => {});
    }
    await expect(setup.send().answer).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      retryAfterSeconds: 1,
      message: expect.stringMatching(/all 2 nodes have failed/),
    });
  });
});

describe('joining and leaving', () => {
  it('a node that was taken out gets nothing new, finishes what it has, and is closed then', async () => {
    const setup = await Setup.of(2);
    const { answer } = setup.send();
    setup.nodes[0]!.last.starts();
    const response = await answer;
    const left = setup.removers[0]!();
    for (let i = 0; i < 4; i++) setup.send();
    expect(calls(setup)).toEqual([1, 4]);
    expect(setup.pool.statuses().map(({ id }) => id)).toEqual(['n1']);
    await settled();
    expect(setup.nodes[0]!.isClosed).toBe(false);
    setup.nodes[0]!.last.ends();
    expect(await response.text()).toBe('data: 1\n\n');
    await left;
    expect(setup.nodes[0]!.isClosed).toBe(true);
  });

  it('a request goes on to another node when its own is taken out and fails', async () => {
    const setup = await Setup.of(3);
    const { answer } = setup.send();
    void setup.removers[0]!();
    void setup.removers[1]!();
    setup.nodes[0]!.last.throws(failed());
    await settled();
    await setup.pass(ROUTE_BACKOFF_MS);
    setup.nodes[2]!.last.ends();
    expect((await answer).status).toBe(200);
    expect(calls(setup)).toEqual([1, 0, 1]);
  });

  it('a node that left is forgotten by the pool, which lives as long as the server', async () => {
    const signals = new Set<AbortSignal>();
    const add = vi.spyOn(AbortSignal.prototype, 'addEventListener').mockImplementation(function (
      this: AbortSignal,
      ...args: unknown[]
    ) {
      signals.add(this);
      return EventTarget.prototype.addEventListener.apply(this, args as never);
    });
    try {
      const setup = await Setup.of(1);
      setup.send();
      const left = setup.removers[0]!();
      setup.nodes[0]!.last.ends();
      await left;
      expect(signals.size).toBeGreaterThan(0);
      const held = [...signals].map((signal) => getEventListeners(signal, 'abort').length);
      // The client's signal, which goes with its request, has the double's own listener.
      expect(held.reduce((sum, count) => sum + count, 0)).toBe(1);
    } finally {
      add.mockRestore();
    }
  });

  it('an id may come again at once', async () => {
    const setup = await Setup.of(1);
    const next = new ScriptedBackend();
    const node = { id: 'n0', name: 'again', backend: next, maxConcurrent: 1, anyModel: false };
    expect(() => setup.pool.add(node)).toThrow('n0 is in the pool already');
    const left = setup.removers[0]!();
    setup.pool.add(node);
    await left;
    setup.send();
    expect(next.calls).toHaveLength(1);
  });

  it('close closes all, also those that left with requests in flight, and ends every timer', async () => {
    const setup = await Setup.of(2);
    setup.nodes[1]!.ready = { ready: false, detail: 'no' };
    setup.send();
    void setup.removers[0]!();
    await setup.routed.close();
    await settled();
    expect(setup.nodes.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    expect(setup.clock.waitingMs).toEqual([]);
  });
});

describe('models', () => {
  it('are the union, each once, in the order of the nodes', async () => {
    const setup = await Setup.of([new ScriptedBackend(['z', 'a']), new ScriptedBackend(['a', 'b'])]);
    const models = await setup.routed.models(new AbortController().signal);
    expect(models.map(({ id }) => id)).toEqual(['z', 'a', 'b']);
    expect(models[0]).toEqual({ id: 'z', created: 7, ownedBy: 'someone' });
  });

  it('are those of the nodes that answer; the last known ones of those that do not', async () => {
    const setup = await Setup.of([new ScriptedBackend(['a']), new ScriptedBackend(['b'])]);
    setup.nodes[0]!.listed = failed();
    await setup.pass(NODE_FRESH_MS + 1);
    const models = await setup.routed.models(new AbortController().signal);
    expect(models.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('are an error where no node has ever listed any', async () => {
    const setup = await Setup.of([new ScriptedBackend(failed())]);
    await setup.pass(NODE_FRESH_MS + 1);
    await expect(setup.routed.models(new AbortController().signal)).rejects.toThrow('it has BACKEND_FAILED');
  });
});

describe('readiness', () => {
  const readiness = ({ routed }: Setup) => routed.readiness(new AbortController().signal);

  it('of one node is its own', async () => {
    const setup = await Setup.of(1);
    expect(await readiness(setup)).toEqual({ ready: true, detail: 'well' });
  });

  it('of several names how many are ready, and what is wrong with the others', async () => {
    const setup = await Setup.of(3);
    setup.nodes[1]!.ready = { ready: false, detail: 'loading' };
    setup.nodes[2]!.ready = failed();
    await setup.pass(NODE_FRESH_MS + 1);
    expect(await readiness(setup)).toEqual({
      ready: true,
      detail: '1 of 3 nodes are ready; host1:1: loading; host2:1: it has BACKEND_FAILED',
    });
  });

  it('is asked once a while, however often it is read', async () => {
    const setup = await Setup.of(1);
    const asked = setup.nodes[0]!.probes;
    for (let i = 0; i < 10; i++) await readiness(setup);
    expect(setup.nodes[0]!.probes).toBe(asked);
    await setup.pass(NODE_FRESH_MS + 1);
    await Promise.all([readiness(setup), readiness(setup)]);
    expect(setup.nodes[0]!.probes).toBe(asked + 1);
  });

  it('does not wait for a node that stays silent', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.readiness = () => new Promise(() => {});
    await setup.pass(NODE_FRESH_MS + 1);
    const asked = readiness(setup);
    await setup.pass(UPSTREAM_PROBE_MS);
    expect(await asked).toEqual({ ready: false, detail: 'no answer within 5 s' });
  });

  it('is lost with an open breaker', async () => {
    const setup = await Setup.of(1);
    setup.nodes[0]!.answer = (call) => call.throws(failed());
    for (let i = 0; i < BREAKER_FAILURES; i++) await setup.send().answer.catch(() => {});
    expect(await readiness(setup)).toEqual({ ready: false, detail: 'it has BACKEND_FAILED' });
  });
});

describe('status', () => {
  it('tells what people may know of a node', async () => {
    const setup = await Setup.of(1);
    const { answer } = setup.send();
    setup.nodes[0]!.last.ends();
    await answer;
    setup.send();
    expect(setup.pool.statuses()).toEqual([
      {
        id: 'n0',
        name: 'host0:1',
        provider: 'custom',
        state: 'ready',
        inFlight: 1,
        maxConcurrent: 4,
        models: ['m'],
        timeToFirstTokenMs: 100,
        tokensPerSecond: 10,
        lastError: null,
      },
    ]);
  });

  it('says why a node is not ready, before any request failed on it', async () => {
    const node = new ScriptedBackend();
    node.ready = { ready: false, detail: 'loading' };
    const setup = await Setup.of([node]);
    expect(setup.status()).toMatchObject({ state: 'failing', lastError: 'loading' });
  });
});

describe('over random failures', () => {
  it('no place leaks, none is exceeded, and every request ends', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const random = seededRandom(seed);
      const clock = new ManualClock();
      const pool = new NodePool({ clock, random });
      const routed = createRoutedBackend({ pool, provider: 'custom', clock, random });
      const backends = Array.from({ length: 3 }, () => new ScriptedBackend());
      const peaks = [0, 0, 0];
      for (const [index, backend] of backends.entries()) {
        pool.add({ id: `${index}`, name: `${index}`, backend, maxConcurrent: 3, anyModel: false });
      }
      await settled();
      const open: { readonly call: ScriptedCall; started: boolean }[] = [];
      for (const backend of backends) {
        backend.answer = (call) => open.push({ call, started: false });
      }
      const sent: Promise<unknown>[] = [];
      const clients: AbortController[] = [];
      for (let step = 0; step < 400; step++) {
        const chance = random();
        if (chance < 0.35) {
          const client = new AbortController();
          clients.push(client);
          sent.push(
            routed
              .chatCompletions({ model: 'm' }, { signal: client.signal })
              .then((response) => response.text())
              .catch((error) => {
                expect(error).toSatisfy((e) => e instanceof ShoalError || e.name === 'AbortError');
              }),
          );
        } else if (chance < 0.8 && open.length > 0) {
          const at = Math.floor(random() * open.length);
          const { call, started } = open[at]!;
          const what = random();
          if (!started && what < 0.4) {
            call.starts();
            open[at]!.started = true;
          } else {
            open.splice(at, 1);
            if (call.context.signal.aborted) continue;
            if (started) what < 0.8 ? call.ends() : call.breaks();
            else if (what < 0.6) call.throws(failed());
            else if (what < 0.7) call.refuses(429);
            else if (what < 0.8) call.refuses(400);
            else call.ends();
          }
        } else if (chance < 0.85 && clients.length > 0) {
          clients.splice(Math.floor(random() * clients.length), 1)[0]!.abort();
        }
        clock.advance(random() * 200);
        if (step % 8 === 0) await settled();
        for (const [index, { inFlight }] of pool.statuses().entries()) {
          peaks[index] = Math.max(peaks[index]!, inFlight);
          expect(inFlight).toBeGreaterThanOrEqual(0);
        }
      }
      for (const client of clients) client.abort();
      await settled();
      for (let i = 0; i < 5; i++) {
        clock.advance(1_000);
        await settled();
      }
      for (const { call, started } of open) {
        if (started && !call.context.signal.aborted) call.ends();
      }
      await settled();
      expect(pool.statuses().map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]);
      expect(Math.max(...peaks)).toBe(3);
      await routed.close();
    }
  });
});
