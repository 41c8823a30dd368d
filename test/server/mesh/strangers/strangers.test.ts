import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  LIVENESS_SILENT_MS,
  LOAD_LAG_MS,
  LOAD_STALL_MS,
  MISBEHAVED_BACKOFF_MS,
  TRUSTED_TOKENS,
  WORKER_BACKOFF_MAX_MS,
} from '../../../../src/config/limits.ts';
import type { MeshOptions } from '../../../../src/server/mesh/mesh.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, FAKE_VOCAB, type FakeWorker } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** One frozen tab, one stranger: peers that speak the protocol, against the real server. */

let harness: Harness;
const start = async (options: Partial<MeshOptions> = {}) => {
  harness = await Harness.start(options);
};
const answer = async (maxTokens = 20) =>
  collect(harness.mesh.coordinator.generate(request({ maxTokens }), never()));
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id);
const isOut = (worker: FakeWorker) => (peerOf(worker)?.excludedUntil ?? 0) > harness.timers.now();
const down = (by: FakeWorker, about: FakeWorker) =>
  by.send({ type: 'link', peer: about.id, state: 'down', error: { code: 'LINK_FAILED', message: 'gone' } });

/** It has served on other routes. */
function seasoned(worker: FakeWorker): void {
  const stop = harness.mesh.routes.live!.stops.find(({ peer }) => peer.id === worker.id)!;
  const route = { stops: [stop] };
  harness.mesh.routes.enter(route);
  for (let i = 0; i < 10 * TRUSTED_TOKENS; i++) harness.mesh.routes.served(route);
  harness.mesh.routes.leave(route);
}

beforeEach(() => start({ maxStages: 2 }));
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a frozen tab', () => {
  it('gets no layers until it has spoken, whatever its back-off, and others go on', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const c = await harness.join('c');
    await harness.heard(c);
    harness.frozen.add('b');
    b!.misbehaviour = { links: 'silent' };
    harness.timers.advance(LIVENESS_SILENT_MS);
    // Its neighbour alone says so, and has served no more than it: it is the one that the server does not hear either.
    // It does not say of itself that the link is there again.
    a!.misbehaviour = { links: 'silent' };
    down(a!, b!);
    await until(() => harness.live.includes('c') && !harness.live.includes('b'), 'c takes its place');
    expect(isOut(a!)).toBe(false);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    const before = b!.messages('hold').length;
    harness.timers.advance(2 * WORKER_BACKOFF_MAX_MS);
    c.kill();
    await until(() => harness.mesh.registry.workers().every(({ name }) => name !== 'c'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(b!.messages('hold')).toHaveLength(before);
    harness.frozen.delete('b');
    b!.misbehaviour = {};
    b!.send({ type: 'alive' });
    await until(() => harness.live.includes('b'), 'it has spoken, and is needed');
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });
});

describe('a stranger', () => {
  it('that reports its links as bad again and again is moved, and nobody who has served', async () => {
    await harness.stop();
    await start({ maxStages: 2, replicas: 2 });
    const honest = await harness.joinAll(['a', 'b']);
    expect((await answer(2 * TRUSTED_TOKENS)).ids).toEqual(expectedIds(PROMPT, 2 * TRUSTED_TOKENS));
    const stranger = await harness.join('stranger');
    await until(() => stranger.held.size > 0 && stranger.links.size > 0, 'it is a replica');
    for (let i = 0; i < 53; i++) {
      for (const worker of honest) down(stranger, worker);
      await harness.heard(stranger);
      harness.timers.advance(1_400);
    }
    await until(() => peerOf(stranger)?.problem !== null, 'it is left out');
    expect(honest.map((worker) => [worker.name, isOut(worker), peerOf(worker)?.problem])).toEqual([
      ['a', false, null],
      ['b', false, null],
    ]);
    expect(harness.live).toEqual(['a', 'b']);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('that sends a token every 50 s is found by it, and the answer goes on elsewhere', async () => {
    const [a, slow] = await harness.joinAll(['a', 'slow']);
    const c = await harness.join('c');
    await harness.heard(c);
    slow!.misbehaviour = {
      onToken: (_worker, _token, send) => {
        harness.timers.advance(50_000);
        send();
      },
    };
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    expect(peerOf(slow!)?.problem).toContain('no token at position');
    expect(isOut(a!)).toBe(false);
  });

  it('that makes up token ids is out for longer, and back under a new id it waits until others cannot serve', async () => {
    const [a, liar] = await harness.joinAll(['a', 'liar']);
    liar!.misbehaviour = {
      onToken: (worker, token) => worker.send({ ...token, token: FAKE_VOCAB }),
    };
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    // Once is no chance.
    expect(liar!.messages('open')).toHaveLength(1);
    expect(isOut(a!)).toBe(false);
    expect(peerOf(liar!)!.excludedUntil - harness.timers.now()).toBeGreaterThan(MISBEHAVED_BACKOFF_MS / 2);
    liar!.send({ type: 'leave', reason: 'to come back' });
    const again = await harness.join('again');
    await harness.heard(again);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // The one that is there can serve alone.
    expect(harness.live).toEqual(['a']);
    expect(again.messages('hold')).toEqual([]);
    a!.kill();
    await until(() => harness.live.includes('again'), 'nobody else can');
  });

  it('that sends values that are no numbers is left out, not the stage that refuses them and has served more', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    seasoned(b!);
    b!.misbehaviour = {
      onToken: ({ sequences }, { sequence, epoch, position }, send) => {
        if (sequences.get(sequence)!.open.route.length === 1 || position < PROMPT.length + 3) return send();
        const error = { code: 'NON_FINITE', message: 'rows with NaN' } as const;
        b!.send({ type: 'sequence-failed', sequence, epoch, error, peer: a!.id });
      },
    };
    const answered = await answer();
    expect(answered.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answered.served.at(-1)).toEqual(['b']);
    expect([isOut(a!), isOut(b!)]).toEqual([true, false]);
    expect(peerOf(a!)?.problem).toContain('b refused what a sent');
  });

  it.each(['NON_FINITE', 'FRAME_INVALID', 'POSITION_GAP'] as const)(
    'that says %s of a stage which has served far more goes, and not that stage',
    async (code) => {
      const [a, liar] = await harness.joinAll(['a', 'liar']);
      const c = await harness.join('c');
      await harness.heard(c);
      seasoned(a!);
      liar!.misbehaviour = {
        onToken: (_worker, { sequence, epoch }) => {
          liar!.send({ type: 'sequence-failed', sequence, epoch, error: { code, message: '' }, peer: a!.id });
        },
      };
      expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
      expect([isOut(a!), isOut(liar!), isOut(c)]).toEqual([false, true, false]);
    },
  );

  it('that names a peer which sends it nothing is blamed itself', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const c = await harness.join('c');
    await harness.heard(c);
    a!.misbehaviour = { onToken: (_worker, _token, send) => send() };
    b!.misbehaviour = {
      onToken: (_worker, { sequence, epoch }) => {
        const error = { code: 'NON_FINITE', message: 'made up' } as const;
        b!.send({ type: 'sequence-failed', sequence, epoch, error, peer: c.id });
      },
    };
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    expect([isOut(a!), isOut(b!), isOut(c)]).toEqual([false, true, false]);
  });

  it('that loads forever, a byte every 20 s, is raced by who can serve now', async () => {
    const stuck = await harness.join('stuck', { misbehaviour: { load: 'silent' } });
    await until(() => stuck.shards.size > 0, 'it was given layers');
    const [shard] = stuck.shards.keys();
    const a = await harness.join('a');
    await harness.heard(a);
    let waitedMs = 0;
    for (; harness.live.length === 0 && waitedMs < 2 * LOAD_STALL_MS; waitedMs += 20_000) {
      const bytesDone = 1 + waitedMs / 20_000;
      stuck.send({ type: 'load-progress', shard: shard!, phase: 'download', bytesDone, bytesTotal: 2 ** 40 });
      await harness.heard(stuck);
      harness.timers.advance(20_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(harness.live).toEqual(['a']);
    expect(waitedMs).toBeLessThanOrEqual(2 * 20_000);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('that loads one stage of two and never ends is raced on another worker, and is a replica when it has it', async () => {
    await harness.stop();
    await start({ maxStages: 2, expectWorkers: 3 });
    const quick = await harness.join('quick');
    const stuck = await harness.join('stuck', { misbehaviour: { load: 'silent' } });
    const third = await harness.join('third');
    await until(() => stuck.shards.size > 0 || third.shards.size > 0, 'layers were handed out');
    if (stuck.shards.size === 0) throw new Error('the stuck one was given no layers');
    await until(() => quick.held.size + third.held.size > 0, 'the other stage is held');
    harness.timers.advance(LOAD_LAG_MS);
    await until(() => harness.live.length === 2, 'serves without it');
    expect(harness.live).not.toContain('stuck');
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    stuck.finishLoad([...stuck.shards.keys()][0]!);
    await harness.heard(stuck);
    expect(stuck.messages('drop')).toEqual([]);
    expect(harness.live).not.toContain('stuck');
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });
});
