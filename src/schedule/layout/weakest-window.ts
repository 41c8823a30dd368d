/**
 * Ranges for many workers at once, one after another, the best first: each takes the stretch of layers that is weakest when it comes
 * (as Petals' servers do, Borzunov et al. 2023), with two changes. It counts what is near it for more than what is far, since
 * a route that hops between continents is slower than one over slower workers of one. And it takes all that its memory holds, cut as if
 * its route were of workers like itself: then the fewest hops are enough, and who can hold the whole model does.
 *
 * Who would idle takes nothing: layers that so many others hold who are as good as the requests can use.
 */
import { hopSeconds, type LayerRange, type RoundTripSeconds } from '../mesh-view.ts';
import type { CostedWorker, StageCosts } from '../stage-costs.ts';

export interface WindowWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
}

export interface WindowOptions {
  /** Of a layer, so many holders that are as good are enough. */
  readonly goal: number;
  readonly rtt: RoundTripSeconds;
  /** Between two workers that are near each other. */
  readonly nearHopSeconds: number;
}

/** Workers by the seconds of a token on a route of their like, a class an eighth of an octave. */
const CLASSES_PER_OCTAVE = 8;
const CLASSES = 256;
/** Seconds of the first class: none is quicker. */
const QUICKEST_SECONDS = 2 ** -16;
/** Holders that a newcomer looks at, the best: they are those that routes take. */
const LOOKED_AT = 256;

/** Adds to `ranges`. @param all those in `ranges` that count, with their rates. @returns how many holders were looked at */
export function weakestWindows(
  costs: StageCosts,
  newcomers: readonly WindowWorker[],
  ranges: Map<string, LayerRange>,
  all: readonly WindowWorker[],
  options: WindowOptions,
): number {
  return newcomers.length === 0 ? 0 : new Windows(costs, ranges, all, options).place(newcomers);
}

interface Holder {
  readonly worker: WindowWorker;
  readonly range: LayerRange;
  /** Tokens a second of its range. */
  readonly rate: number;
}

class Windows {
  readonly #costs: StageCosts;
  readonly #ranges: Map<string, LayerRange>;
  readonly #options: WindowOptions;
  readonly #total: number;
  /** Holders by class, the best first. */
  readonly #byClass: (Holder[] | undefined)[] = new Array(CLASSES);
  /** Of each layer, those of the classes up to the one that is placed now. */
  readonly #asGood: Uint32Array;
  #looked = 0;

  constructor(
    costs: StageCosts,
    ranges: Map<string, LayerRange>,
    all: readonly WindowWorker[],
    options: WindowOptions,
  ) {
    this.#costs = costs;
    this.#ranges = ranges;
    this.#options = options;
    this.#total = costs.macs(0, costs.layers);
    this.#asGood = new Uint32Array(costs.layers);
    for (const worker of all) {
      const range = ranges.get(worker.id);
      if (range !== undefined) this.#hold(worker, range);
    }
  }

  place(newcomers: readonly WindowWorker[]): number {
    const byClass: (WindowWorker[] | undefined)[] = new Array(CLASSES);
    for (const worker of newcomers) {
      const most = this.#most(worker);
      if (most > 0) add(byClass, this.#classOf(worker, most), worker);
    }
    for (const [own, same] of byClass.entries()) {
      for (const { range } of this.#byClass[own] ?? []) this.#count(range);
      // Who comes now and later is no better than those that are there.
      if (!this.#isWanted({ start: 0, end: this.#costs.layers })) break;
      same?.sort((a, b) => b.macsPerSecond - a.macsPerSecond || (a.id < b.id ? -1 : 1));
      for (const worker of same ?? []) this.#place(worker, own);
    }
    return this.#looked;
  }

  #place(worker: WindowWorker, own: number): void {
    const wanted = this.#windows(worker).filter((window) => this.#isWanted(window));
    if (wanted.length === 0) return;
    const range = wanted.length === 1 ? wanted[0]! : this.#weakest(worker, wanted);
    this.#ranges.set(worker.id, range);
    this.#hold(worker, range);
    if (this.#classOf(worker, range.end - range.start) <= own) this.#count(range);
  }

  /** Layers that fit, wherever they are. */
  #most(worker: WindowWorker): number {
    const middle = Math.min(1, this.#costs.layers - 1);
    return Math.max(this.#costs.reachFrom(worker, 0), this.#costs.reachFrom(worker, middle) - middle);
  }

  /** The layers cut evenly into as few parts as it takes of workers like it, each as long as its memory allows. */
  #windows(worker: WindowWorker): LayerRange[] {
    const { layers } = this.#costs;
    const most = this.#most(worker);
    const parts = this.#costs.fits(worker, 0, layers) ? 1 : Math.max(2, Math.ceil(layers / most));
    const windows: LayerRange[] = [];
    for (let part = 0; part < parts; part++) {
      const [from, to] = [Math.floor((part * layers) / parts), Math.floor(((part + 1) * layers) / parts)];
      // What the memory holds beside it goes to both sides.
      const spare = Math.max(0, most - (to - from));
      const start = part === 0 ? 0 : Math.max(0, from - (spare >> 1));
      const last = part === parts - 1;
      const window = last
        ? { start: this.#costs.reachTo(worker, layers), end: layers }
        : { start, end: Math.min(this.#costs.reachFrom(worker, start), layers) };
      if (window.end > window.start) windows.push(window);
    }
    return windows;
  }

  /** @param held layers */
  #classOf(worker: WindowWorker, held: number): number {
    const parts = this.#costs.layers / held;
    const hops = parts > 1 ? parts * this.#options.nearHopSeconds : 0;
    const seconds = this.#total / worker.macsPerSecond + hops;
    const octaves = Math.log2(seconds / QUICKEST_SECONDS);
    return Math.min(CLASSES - 1, Math.max(0, Math.round(octaves * CLASSES_PER_OCTAVE)));
  }

  #hold(worker: WindowWorker, range: LayerRange): void {
    const rate = worker.macsPerSecond / this.#costs.macs(range.start, range.end);
    add(this.#byClass, this.#classOf(worker, range.end - range.start), { worker, range, rate });
  }

  #count({ start, end }: LayerRange): void {
    for (let layer = start; layer < end; layer++) this.#asGood[layer]!++;
  }

  #isWanted({ start, end }: LayerRange): boolean {
    for (let layer = start; layer < end; layer++) if (this.#asGood[layer]! < this.#options.goal) return true;
    return false;
  }

  /** By the layer that is weakest, then by the mean; of equals the first. */
  #weakest(worker: WindowWorker, windows: readonly LayerRange[]): LayerRange {
    const supply = this.#supplyNear(worker);
    let best = windows[0]!;
    let least: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
    for (const window of windows) {
      let [weakest, sum] = [Number.POSITIVE_INFINITY, 0];
      for (let layer = window.start; layer < window.end; layer++) {
        weakest = Math.min(weakest, supply[layer]!);
        sum += supply[layer]!;
      }
      const mean = sum / (window.end - window.start);
      if (weakest > least[0] || (weakest === least[0] && mean >= least[1])) continue;
      [best, least] = [window, [weakest, mean]];
    }
    return best;
  }

  /** Tokens a second of each layer, each holder counting by how quick a token is of which it computes half. */
  #supplyNear(worker: WindowWorker): Float64Array {
    const supply = new Float64Array(this.#costs.layers);
    const compute = this.#total / worker.macsPerSecond;
    let looked = 0;
    for (const same of this.#byClass) {
      for (const { worker: other, range, rate } of same ?? []) {
        const both = (compute + this.#total / other.macsPerSecond) / 2;
        const seconds = both + 2 * hopSeconds(this.#options.rtt(worker.id, other.id));
        const counts = rate * (compute / seconds) ** 2;
        this.#looked++;
        for (let layer = range.start; layer < range.end; layer++) supply[layer]! += counts;
        if (++looked === LOOKED_AT) return supply;
      }
    }
    return supply;
  }
}

function add<T>(lists: (T[] | undefined)[], index: number, item: T): void {
  const list = lists[index];
  if (list === undefined) lists[index] = [item];
  else list.push(item);
}
