/** Who shall hold what, by three rules. Each is asked when somebody came, went, or it is time to look again. */
import { uncovered } from '../../schedule/layout/holders.ts';
import { layout } from '../../schedule/layout/layout.ts';
import { transition } from '../../schedule/layout/transition.ts';
import type { LayerRange, WorkerView } from '../../schedule/mesh-view.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import { layerMemory, parallaxAllocate, parallaxJoin } from '../baselines/parallax.ts';
import { type PetalsServer, petalsJoin, petalsMove } from '../baselines/petals.ts';
import type { SeededRandom } from '../random.ts';
import { ROOM_MODEL } from './machines.ts';

export interface PolicyView {
  readonly costs: StageCosts;
  /** Those that load too. */
  readonly workers: readonly WorkerView[];
  readonly rtt: (from: string, to: string) => number;
  readonly concurrency: number;
  /** Whether answers run through it. */
  readonly isUsed: (worker: string, range: LayerRange) => boolean;
  readonly nowSeconds: number;
}

/** What to begin now. A worker that drops and holds at once has a gap between. */
export interface Orders {
  readonly hold: ReadonlyMap<string, LayerRange>;
  readonly drop: readonly { readonly worker: string; readonly range: LayerRange }[];
}

export interface Policy {
  readonly name: string;
  decide(view: PolicyView): Orders;
}

/** This project's: layouts by search, and a transition that opens no gap. */
export function shoalPolicy(): Policy {
  return {
    name: 'Shoal',
    decide({ costs, workers, rtt, concurrency, isUsed }) {
      const found = layout({ costs: ROOM_MODEL, workers, rtt, options: { concurrency } });
      if (found.kind !== 'placed') return NOTHING;
      const wanted = new Map(found.holdings.map(({ worker, start, end }) => [worker, { start, end }]));
      // As the server does: where nothing is served anyway, who has no room for both may drop the old.
      const held = workers.flatMap((worker) => worker.held.filter(({ state }) => state === 'held'));
      const mayGap = uncovered(costs.layers, held) > 0;
      const { hold, drop } = transition(costs, workers, wanted, { mayGap, isUsed });
      return {
        hold: new Map(hold.map(({ worker, start, end }) => [worker, { start, end }])),
        drop: drop.map(({ worker, start, end }) => ({ worker, range: { start, end } })),
      };
    },
  };
}

/** Petals' servers look at the swarm so often, each in its own time. */
const PETALS_LOOK_SECONDS = 120;
/** A look works out all others' moves too, which takes seconds in a large swarm: of more workers than these one looks now and then. */
const PETALS_ALL_LOOK = 100;
const PETALS_ONE_LOOKS_SECONDS = 60;

export function petalsPolicy(random: SeededRandom): Policy {
  const nextLook = new Map<string, number>();
  let lastLook = 0;
  return {
    name: 'Petals’ rule',
    decide({ costs, workers, nowSeconds }) {
      const servers: PetalsServer[] = workers.flatMap((worker) =>
        worker.held[0] === undefined ? [] : [{ worker, range: plain(worker.held[0]) }],
      );
      const hold = new Map<string, LayerRange>();
      const drop: Orders['drop'][number][] = [];
      for (const worker of workers) {
        if (worker.held.length > 0) continue;
        const range = petalsJoin(costs, worker, servers);
        if (range === null) continue;
        hold.set(worker.id, range);
        servers.push({ worker, range });
        nextLook.set(worker.id, nowSeconds + random.between(0, 2 * PETALS_LOOK_SECONDS));
      }
      for (const worker of workers) {
        const [held] = worker.held;
        if (held?.state !== 'held' || (nextLook.get(worker.id) ?? 0) > nowSeconds) continue;
        if (workers.length > PETALS_ALL_LOOK && nowSeconds - lastLook < PETALS_ONE_LOOKS_SECONDS) break;
        lastLook = nowSeconds;
        nextLook.set(worker.id, nowSeconds + random.between(0, 2 * PETALS_LOOK_SECONDS));
        const own = servers.find((server) => server.worker === worker)!;
        const moved = petalsMove(costs, own, servers, (ids) => random.shuffled(ids));
        if (moved === null) continue;
        servers[servers.indexOf(own)] = { worker, range: moved };
        drop.push({ worker: worker.id, range: plain(held) });
        hold.set(worker.id, moved);
      }
      return { hold, drop };
    },
  };
}

/** Parallax: newcomers take what is held least; where a layer is held by nobody, all is allocated anew. */
export function parallaxPolicy(): Policy {
  return {
    name: 'Parallax’ rule',
    decide({ costs, workers }) {
      const ranges = new Map(
        workers.flatMap((worker): [string, LayerRange][] =>
          worker.held[0] === undefined ? [] : [[worker.id, plain(worker.held[0])]],
        ),
      );
      const covered = new Array<boolean>(costs.layers).fill(false);
      for (const { start, end } of ranges.values()) covered.fill(true, start, end);
      const hold = new Map<string, LayerRange>();
      const drop: Orders['drop'][number][] = [];
      if (covered.includes(false)) {
        for (const [id, range] of parallaxAllocate(costs, workers)) {
          const before = ranges.get(id);
          if (before?.start === range.start && before.end === range.end) continue;
          if (before !== undefined) drop.push({ worker: id, range: before });
          hold.set(id, range);
        }
        return { hold, drop };
      }
      for (const worker of workers) {
        if (ranges.has(worker.id)) continue;
        const range = parallaxJoin(costs, worker, layerMemory(costs, workers, ranges));
        if (range === null) continue;
        hold.set(worker.id, range);
        ranges.set(worker.id, range);
      }
      return { hold, drop };
    },
  };
}

const NOTHING: Orders = { hold: new Map(), drop: [] };
const plain = ({ start, end }: LayerRange): LayerRange => ({ start, end });
