import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  LIVENESS_SILENT_MS,
  OPEN_DEADLINE_MS,
  RESTART_PAUSE_MS,
  UNMEASURED_PATIENCE_MS,
} from '../../../src/config/limits.ts';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker } from './fake-worker.ts';
import { type Collected, collect, Harness, never, PROMPT, request } from './harness.ts';

/** A sequence that would be better off elsewhere goes there while there is a way, and stays where there is none. */

const TOKENS = 20;
const AT = 5;

let harness: Harness;
const stopped = (worker: FakeWorker) => {
  harness.frozen.add(worker.name);
  worker.misbehaviour = { open: 'silent', onToken: () => {} };
};

async function start(names: readonly string[], stages: number, misbehaviour = {}): Promise<void> {
  harness = await Harness.start({
    expectWorkers: names.length,
    minStages: stages,
    maxStages: stages,
    replicas: names.length / stages,
  });
  for (const name of names) await harness.join(name, { misbehaviour: { ...misbehaviour } });
  await harness.untilLive(stages);
  await until(() => harness.workers.every(({ held }) => held.size === 1), 'all hold something');
  await Promise.all(harness.workers.map((worker) => harness.heard(worker)));
}

/** An answer up to its token AT; `what` is done to its stages then. The next token does not come. */
async function disturbed(
  what: (route: readonly FakeWorker[]) => void | Promise<void>,
): Promise<{ answer: Promise<Collected>; route: readonly FakeWorker[] }> {
  let reached: (route: readonly FakeWorker[]) => void = () => {};
  const disturbance = new Promise<readonly FakeWorker[]>((resolve) => {
    reached = resolve;
  });
  for (const worker of harness.workers) {
    worker.misbehaviour = {
      onToken: (_worker, { position, epoch }, send) => {
        if (epoch > 1 || position < PROMPT.length + AT) send();
      },
    };
  }
  const answer = collect(
    harness.mesh.coordinator.generate(request({ maxTokens: TOKENS }), never()),
    (count) => {
      if (count === AT) {
        const [inUse] = harness.mesh.routes.inUse();
        reached(inUse!.stages.map(({ name }) => harness.byName(name)));
      }
    },
  );
  answer.catch(() => {});
  const route = await disturbance;
  await what(route);
  return { answer, route };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 30));
const names = (route: readonly FakeWorker[]) => route.map(({ name }) => name);

afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('of two tabs that hold the whole model', () => {
  beforeEach(() => start(['a', 'b'], 1));

  it('the answering one stops: the other goes on as soon as the server hears nothing of it', async () => {
    const { answer, route } = await disturbed(([only]) => stopped(only!));
    harness.timers.advance(LIVENESS_SILENT_MS);
    harness.timers.advance(1);
    const { ids, served, losses } = await answer;
    expect(ids).toEqual(expectedIds(PROMPT, TOKENS));
    expect(served).toHaveLength(2);
    expect(served[0]).toEqual(names(route));
    expect(served[1]).not.toEqual(names(route));
    expect(losses[1]).toEqual([{ worker: route[0]!.name, how: 'stalled' }]);
  });

  it('the one stops before it opens the sequence: the same', async () => {
    const [first] = harness.live.map((name) => harness.byName(name));
    stopped(first!);
    const answer = collect(harness.mesh.coordinator.generate(request({ maxTokens: 3 }), never()));
    await until(() => harness.mesh.routes.inUse().length === 1);
    expect(LIVENESS_SILENT_MS).toBeLessThan(OPEN_DEADLINE_MS);
    harness.timers.advance(LIVENESS_SILENT_MS);
    harness.timers.advance(1);
    expect(await answer).toMatchObject({
      ids: expectedIds(PROMPT, 3),
      served: [[first!.name === 'a' ? 'b' : 'a']],
    });
  });
});

it.each([1, 2, 3])(
  'of %i stages one has wedged, and still says that it lives: the first stall is enough',
  async (stages) => {
    await start(
      Array.from({ length: 2 * stages }, (_, index) => `w${index}`),
      stages,
    );
    const { answer, route } = await disturbed(() => {});
    harness.timers.advance(UNMEASURED_PATIENCE_MS);
    harness.timers.advance(RESTART_PAUSE_MS);
    const { ids, served } = await answer;
    expect(ids).toEqual(expectedIds(PROMPT, TOKENS));
    expect(served).toHaveLength(2);
    for (const name of names(route)) expect(served[1]).not.toContain(name);
  },
);

describe('a worker that drains', () => {
  it('keeps its sequences until there is room for them elsewhere, and breaks none', async () => {
    await start(['a', 'b'], 1, { kvPositions: 64 });
    const held = new Map<FakeWorker, () => void>();
    for (const worker of harness.workers) {
      worker.misbehaviour = { onToken: (by, _token, send) => held.set(by, send) };
    }
    const asked = { maxTokens: 40 };
    const answers = [1, 2].map(() => collect(harness.mesh.coordinator.generate(request(asked), never())));
    await until(() => held.size === 2, 'each has one');
    const [a, b] = harness.workers as [FakeWorker, FakeWorker];
    a.send({ type: 'drain', reason: 'button' });
    await harness.heard(a);
    await settled();
    expect(b.messages('open')).toHaveLength(1);
    expect(a.sequences.size).toBe(1);
    expect(harness.mesh.coordinator.resuming).toBe(0);
    // The other ends: its room is taken at once, though the first gives no sign.
    b.misbehaviour = {};
    held.get(b)!();
    for (const answer of await Promise.all(answers)) expect(answer.ids).toEqual(expectedIds(PROMPT, 40));
    expect(b.messages('open')).toHaveLength(2);
    await until(() => a.messages('released').length === 1);
  });
});

describe('a stage whose socket closes while its neighbours hear it', () => {
  it('before the sequence has a token: it goes on without it at once', async () => {
    await start(['a', 'b', 'c', 'd'], 2);
    const second = harness.byName(harness.live[1]!);
    second.misbehaviour = { open: 'silent' };
    const answer = collect(harness.mesh.coordinator.generate(request({ maxTokens: 3 }), never()));
    await until(() => second.messages('open').length === 1);
    second.disconnect();
    const { ids, served, restarts } = await answer;
    expect(ids).toEqual(expectedIds(PROMPT, 3));
    expect(served[0]).not.toContain(second.name);
    expect(restarts).toEqual([1]);
  });
});
