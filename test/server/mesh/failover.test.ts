import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker } from './fake-worker.ts';
import { type Collected, collect, Harness, never, PROMPT, request } from './harness.ts';

/** The proof of routes: what is held stays held, and only what is missing is computed again. */

const WORKERS = ['a', 'b', 'c', 'd', 'e', 'f'];
const STAGES = 3;

let harness: Harness;
const generate = (over = {}) => harness.mesh.coordinator.generate(request(over), never());

/** Rows that each worker computed of the only sequence, now. */
const computed = (): Map<string, number> =>
  new Map(
    harness.workers.flatMap(({ name, sequences }) =>
      [...sequences.values()].map((stage): [string, number] => [name, stage.computed]),
    ),
  );
const loads = (): number => harness.workers.reduce((sum, worker) => sum + worker.messages('hold').length, 0);

beforeEach(async () => {
  harness = await Harness.start({ expectWorkers: WORKERS.length, maxStages: STAGES, replicas: 2 });
  for (const name of WORKERS) await harness.join(name);
  await harness.untilLive(STAGES);
  await until(() => harness.workers.every(({ held }) => held.size === 1), 'every range is held twice');
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

/** Lets an answer run to its `at`th token, then does `what` to the route's workers. */
async function disturbed(
  at: number,
  what: (route: FakeWorker[]) => void | Promise<void>,
  over = {},
): Promise<{ answer: Collected; route: FakeWorker[]; before: Map<string, number> }> {
  let route: FakeWorker[] = [];
  let before = new Map<string, number>();
  const events = generate(over);
  const stages: string[] = [];
  const answer = await collect(
    (async function* () {
      for await (const event of events) {
        if (event.type === 'pipeline' && stages.length === 0) {
          stages.push(...event.stages.map(({ name }) => name));
        }
        yield event;
      }
    })(),
    async (count) => {
      if (count !== at) return;
      route = stages.map((name) => harness.byName(name));
      before = computed();
      await what(route);
    },
  );
  return { answer, route, before };
}

describe.each([
  ['the first', 0],
  ['the middle', 1],
  ['the last', 2],
])('%s of three stages, lost in mid-answer', (_name, index) => {
  it.each([
    ['killed', (worker: FakeWorker) => worker.kill()],
    ['with a goodbye', (worker: FakeWorker) => worker.send({ type: 'leave', reason: 'button' })],
  ])('%s: its replica computes it again, nobody else does, and nothing is loaded', async (_how, lose) => {
    const loadedBefore = loads();
    const slow = harness.workers.map((worker) => worker.name);
    expect(slow).toEqual(WORKERS);
    let loadsAtEnd = 0;
    const { answer, route, before } = await disturbed(
      8,
      async (stages) => {
        // The last worker stands still, so that what is computed later is computed by the new route.
        for (const worker of harness.workers) {
          worker.misbehaviour.onToken = (_w, token, send) => {
            if (token.epoch > 1) send();
            loadsAtEnd = loads();
          };
        }
        lose(stages[index]!);
      },
      { maxTokens: 12 },
    );
    expect(answer.ids).toEqual(expectedIds(PROMPT, 12));
    expect(answer.restarts).toEqual([0, 1]);
    expect(answer.losses[1]).toEqual([{ worker: route[index]!.name, how: 'left' }]);
    // The others of the route stayed where they were.
    const [first, second] = answer.served;
    for (const [stage, name] of first!.entries()) {
      if (stage === index) expect(second![stage]).not.toBe(name);
      else expect(second![stage]).toBe(name);
    }
    expect(loadsAtEnd).toBe(loadedBefore);
    expect(before.size).toBe(STAGES);
  });
});

it('a second loss while the first is replayed, and that of the replacement, change nothing of the text', async () => {
  const { answer } = await disturbed(
    6,
    (route) => {
      route[1]!.kill();
      setImmediate(() => route[0]!.kill());
    },
    { maxTokens: 40 },
  );
  expect(answer.ids).toEqual(expectedIds(PROMPT, 40));
});

it('a worker whose socket breaks is itself again when it returns, and what it held was never lost', async () => {
  const loadedBefore = loads();
  const { answer, route } = await disturbed(
    6,
    async (stages) => {
      stages[1]!.disconnect();
      await until(() => harness.mesh.registry.get(stages[1]!.id)?.isAway === true);
      await stages[1]!.reconnect();
    },
    { maxTokens: 40 },
  );
  expect(answer.ids).toEqual(expectedIds(PROMPT, 40));
  expect(answer.restarts).toEqual([0]);
  expect(loads()).toBe(loadedBefore);
  expect(route[1]!.messages('drop')).toEqual([]);
});

it('the last stage’s tokens that the server missed are told again, in order, though others overtake them', async () => {
  const { failovers } = harness.mesh.coordinator.counts;
  for (const worker of harness.workers) {
    // The server's word takes far longer than a token.
    worker.misbehaviour = { retellMs: 30, onToken: (_worker, _token, send) => setTimeout(send, 2) };
  }
  const { answer } = await disturbed(
    6,
    async (stages) => {
      const last = stages.at(-1)!;
      last.disconnect();
      await until(() => harness.mesh.registry.get(last.id)?.isAway === true);
      // It goes on meanwhile: its neighbours live.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await last.reconnect();
    },
    { maxTokens: 60 },
  );
  expect(answer.ids).toEqual(expectedIds(PROMPT, 60));
  expect(answer.restarts).toEqual([0]);
  expect(harness.mesh.coordinator.counts.failovers).toBe(failovers);
});
