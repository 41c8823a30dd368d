import { afterEach, describe, expect, it } from 'vitest';
import { stageCostsOf } from '../../../src/schedule/stage-costs.ts';
import { Holding } from '../../../src/server/mesh/holdings/holding.ts';
import { NO_CONNECTION, Peer } from '../../../src/server/mesh/peers/peer.ts';
import { shardOf } from '../../../src/server/mesh/placing/planner.ts';
import { chosenByClass } from '../../../src/server/mesh/routes/class-choice.ts';
import { searchRoute } from '../../../src/server/mesh/routes/route-search.ts';
import { until } from '../socket-timers.ts';
import { CAPABILITY } from './capability.ts';
import { expectedIds } from './fake-worker.ts';
import { COSTS, collect, Harness, never, PROMPT, request } from './harness.ts';

/** Whose adapters give the same bits: routes stay within a class, and what crossed says so. */

let harness: Harness;
afterEach(() => harness.stop());

const SPEED = 1e9;
/** Workers as `name class speed`, speeds in times SPEED; every range is held by several. */
async function start(stages: number, workers: readonly (readonly [string, string | null, number])[]) {
  const copies = workers.length / stages;
  harness = await Harness.start({ expectWorkers: workers.length, maxStages: stages, replicas: copies });
  for (const [name, bits, speed] of workers) {
    const capability = { gemvMacsPerSecond: speed * SPEED, ...(bits !== null && { class: bits }) };
    await harness.join(name, { capability });
  }
  await harness.untilLive(stages);
  await until(() => harness.workers.every(({ held }) => held.size === 1), 'everybody holds layers');
}

/** An answer whose first worker is lost after some tokens. */
async function disturbed(): Promise<{ served: string[][]; crossings: (number | undefined)[] }> {
  const crossings: (number | undefined)[] = [];
  const events = harness.mesh.coordinator.generate(request(), never());
  const told = (async function* () {
    for await (const event of events) {
      if (event.type === 'pipeline') crossings.push(event.crossings);
      yield event;
    }
  })();
  const { served, ids } = await collect(told, (count) => {
    if (count === 5) harness.byName(served0()).kill();
  });
  expect(ids).toEqual(expectedIds(PROMPT, 20));
  return { served, crossings };
}
const served0 = () => harness.mesh.routesInUse()[0]!.stages[0]!.name;

describe('an answer that loses a worker', () => {
  it('goes on in the class of what is replaced, though others are quicker', async () => {
    await start(1, [
      ['a1', 'a', 3],
      ['b1', 'b', 2],
      ['a2', 'a', 1.5],
    ]);
    const { served, crossings } = await disturbed();
    expect(served).toEqual([['a1'], ['a2']]);
    expect(crossings).toEqual([0, 0]);
    expect(harness.mesh.figures().crossings).toBe(0);
  });

  it('goes on in another where its own is far slower, and says so', async () => {
    await start(1, [
      ['a1', 'a', 3],
      ['b1', 'b', 2],
      ['a2', 'a', 0.5],
    ]);
    const { served, crossings } = await disturbed();
    expect(served).toEqual([['a1'], ['b1']]);
    expect(crossings).toEqual([0, 1]);
    expect(harness.mesh.figures().crossings).toBe(1);
  });

  it('in a class that nobody knows counts as crossed', async () => {
    await start(1, [
      ['x1', null, 3],
      ['x2', null, 2],
    ]);
    const { crossings } = await disturbed();
    expect(crossings).toEqual([0, 1]);
  });

  it('is shown as crossed while it runs', async () => {
    await start(1, [
      ['a1', 'a', 3],
      ['b1', 'b', 2],
    ]);
    const shown: (number | null | undefined)[][] = [];
    await collect(harness.mesh.coordinator.generate(request(), never()), (count) => {
      if (count === 5) harness.byName('a1').kill();
      shown.push(harness.mesh.routesInUse().map(({ crossed }) => crossed));
    });
    expect(shown[0]).toEqual([0]);
    // The last token may be read after the answer has ended.
    expect(shown.findLast((crossed) => crossed.length > 0)).toEqual([1]);
  });
});

describe('an answer that begins', () => {
  const costs = stageCostsOf(COSTS);
  const holding = (name: string, start: number, end: number, speed: number) => {
    const peer = new Peer(name, name, NO_CONNECTION);
    peer.capability = { ...CAPABILITY, class: name[0]!, gemvMacsPerSecond: speed };
    const held = new Holding(peer, 1, shardOf({ start, end }, COSTS), { seconds: 1, bytes: 1 });
    held.held(1, null);
    return held;
  };
  /** @returns names of the route over these */
  const chosen = (holdings: readonly Holding[], doubtful: string | null = null) =>
    chosenByClass(
      {
        layers: costs.layers,
        holdings,
        isDoubtful: ({ peer }) => peer.name === doubtful,
        search: (among, may) =>
          searchRoute({
            holdings: among,
            costs,
            maxStages: 8,
            step: ({ capability }) => ({ stepSeconds: 0, macsPerSecond: capability!.gemvMacsPerSecond }),
            load: () => 1,
            penalty: (of, start, end) => (may({ holding: of, start, end }) ? 0 : Number.POSITIVE_INFINITY),
            hop: () => 0,
          }),
      },
      undefined,
    )?.stages.map(({ holding: { peer } }) => peer.name);

  it('takes one class where that is nearly as quick, and the quickest where it is not', () => {
    const [first, last] = [holding('a1', 0, 4, 10), holding('b2', 4, 8, 10)];
    expect(chosen([first, last, holding('a2', 4, 8, 9)])).toEqual(['a1', 'a2']);
    expect(chosen([first, last, holding('a2', 4, 8, 1)])).toEqual(['a1', 'b2']);
  });

  it('does not take for it who is to be used only where there is nothing else', () => {
    const route = [holding('a1', 0, 4, 10), holding('b2', 4, 8, 10), holding('a2', 4, 8, 9)];
    expect(chosen(route, 'a2')).toEqual(['a1', 'b2']);
  });
});

it('the status says of each worker what class it is of', async () => {
  await start(1, [
    ['a1', 'a', 1],
    ['x1', null, 1],
  ]);
  expect(harness.mesh.rows().workers.map(({ class: name }) => name)).toEqual(['a', null]);
});
