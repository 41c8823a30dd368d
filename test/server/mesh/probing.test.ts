import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MISBEHAVED_BACKOFF_MS, TRUSTED_TOKENS } from '../../../src/config/limits.ts';
import { probeIds } from '../../../src/schedule/probe.ts';
import { until } from '../socket-timers.ts';
import type { FakeToken } from './fake-stage.ts';
import { expectedIds, FAKE_VOCAB, type FakeWorker } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

let harness: Harness;
/** The first of a position counts. */
const WRONG_IDS = {
  onToken: (worker: FakeWorker, token: FakeToken, send: () => void) => {
    worker.send({ ...token, token: (token.token + 1) % FAKE_VOCAB });
    send();
  },
};
const answer = async () => collect(harness.mesh.coordinator.generate(request({ maxTokens: 5 }), never()));
const capability = { class: 'x' };
const PROBE_IDS = probeIds(FAKE_VOCAB, () => 0).length;
const probesOf = (worker: FakeWorker) =>
  worker.messages('open').filter(({ promptTokens }) => promptTokens === PROBE_IDS);
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id)!;

beforeEach(async () => {
  harness = await Harness.start({ maxStages: 2, replicas: 2, probes: true });
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a route', () => {
  it('is live only after a second token came, and takes no place of a client', async () => {
    let release = () => {};
    const misbehaviour = {
      onToken: (_: FakeWorker, { position }: { position: number }, send: () => void) => {
        if (position === PROBE_IDS) send();
        else release = send;
      },
    };
    const a = await harness.join('a', { misbehaviour });
    await until(() => a.held.size > 0 && a.sequences.size > 0, 'it is probed');
    await harness.heard(a);
    expect(harness.mesh.readiness()).toEqual({
      ready: false,
      detail: expect.stringContaining('a first token has to come round a'),
    });
    expect(harness.mesh.coordinator.inFlight).toBe(0);
    expect(harness.mesh.routes.sequences).toBe(0);
    const waiting = answer();
    a.misbehaviour = {};
    await until(() => {
      release();
      return harness.live.length === 1;
    }, 'the second token');
    expect((await waiting).ids).toEqual(expectedIds(PROMPT, 5));
    expect(probesOf(a)).toHaveLength(1);
    await until(() => a.sequences.size === 0, 'it is closed');
  });

  it('that gives no token is given up by a deadline, and who is to blame is left out', async () => {
    const a = await harness.join('a', { misbehaviour: { onToken: () => {} } });
    for (let i = 0; i < 60 && peerOf(a).problem === null; i++) {
      await harness.heard(a);
      harness.timers.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(peerOf(a).problem).not.toBe(null);
    expect(harness.mesh.readiness().ready).toBe(false);
  });
});

describe('a newcomer', () => {
  it('is probed beside what serves before a client runs through it, once', async () => {
    const a = await harness.join('a', { capability });
    await harness.untilLive(1);
    const b = await harness.join('b', { capability });
    await until(() => b.held.size > 0 && probesOf(b).length > 0 && b.sequences.size === 0, 'it is probed');
    await harness.heard(b);
    expect(harness.live.length).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) expect((await answer()).ids).toEqual(expectedIds(PROMPT, 5));
    expect(b.messages('open')[0]?.promptTokens).toBe(PROBE_IDS);
    expect(peerOf(a).problem ?? peerOf(b).problem).toBe(null);
  });

  it('takes layers from the one that serves: what that one loads for it is measured by what it held before', async () => {
    await harness.stop();
    harness = await Harness.start({ minStages: 2, replicas: 1, probes: true });
    await harness.join('a', { capability });
    await harness.untilLive(1);
    await answer();
    await harness.join('b', { capability });
    for (let i = 0; i < 60 && harness.live.length < 2; i++) {
      for (const worker of harness.workers) await harness.heard(worker);
      harness.timers.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(harness.live).toHaveLength(2);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 5));
  });

  it('that computes another token than those of its class, in two places, is left out, and no client runs through it', async () => {
    await harness.stop();
    harness = await Harness.start({ minStages: 1, replicas: 3, probes: true });
    for (const name of ['a', 'b']) await harness.join(name, { capability });
    const [a, b] = harness.workers as [FakeWorker, FakeWorker];
    await until(() => b.held.size > 0 && probesOf(b).length > 0, 'both hold');
    for (let i = 0; i < 12; i++) {
      const both = [1, 2].map(() =>
        collect(harness.mesh.coordinator.generate(request({ maxTokens: TRUSTED_TOKENS }), never())),
      );
      for (const { ids } of await Promise.all(both)) expect(ids).toEqual(expectedIds(PROMPT, TRUSTED_TOKENS));
    }
    const liar = await harness.join('liar', { capability, misbehaviour: WRONG_IDS });
    await until(() => liar.held.size > 0, 'it holds');
    for (let i = 0; i < 40 && peerOf(liar).problem === null; i++) {
      await harness.heard(liar);
      harness.timers.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect([...liar.messages('open')].filter((open) => !probesOf(liar).includes(open))).toEqual([]);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 5));
    expect(peerOf(liar).problem).toContain('another token than others do');
    expect(peerOf(liar).excludedUntil - harness.timers.now()).toBeGreaterThan(MISBEHAVED_BACKOFF_MS / 2);
    expect(peerOf(a).problem ?? peerOf(b).problem).toBe(null);
  });
});
