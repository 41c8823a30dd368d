/** What a range of layers costs one worker, by look-up: bytes, multiply-accumulates, and how far its memory reaches. */
import type { ModelCosts } from './costs.ts';

export interface CostedWorker {
  readonly memoryBytes: number;
  readonly maxBufferBytes: number;
  readonly storesF16AsF32?: boolean;
}

interface Sums {
  readonly of: ModelCosts;
  /** Of the layers before each, layers + 1 entries. */
  readonly bytes: readonly number[];
  readonly macs: readonly number[];
  /** Of one layer of the middle, the smallest. */
  readonly smallest: number;
}

export class StageCosts {
  readonly layers: number;
  readonly #plain: Sums;
  readonly #expanded: Sums;

  constructor(costs: ModelCosts) {
    this.layers = costs.layers.length;
    this.#plain = sumsOf(costs);
    this.#expanded = costs.expanded === undefined ? this.#plain : sumsOf(costs.expanded);
  }

  /** Multiply-accumulates of one token through layers [start, end), with the embedding and the LM head where they belong. */
  macs(start: number, end: number): number {
    const { of, macs } = this.#plain;
    return (
      macs[end]! -
      macs[start]! +
      (start === 0 ? of.embedding.macs : 0) +
      (end === this.layers ? of.head.macs : 0)
    );
  }

  /** GPU bytes with scratch and one sequence of full length. */
  bytes(worker: CostedWorker, start: number, end: number): number {
    const { of, bytes } = this.#sums(worker);
    const [first, last] = [start === 0, end === this.layers];
    return (
      of.scratchBytes +
      (bytes[end]! - bytes[start]!) +
      (first ? of.embedding.bytes : 0) +
      (last ? of.head.bytes : 0) -
      (first && last ? of.tiedBytes : 0)
    );
  }

  fits(worker: CostedWorker, start: number, end: number): boolean {
    return this.bytes(worker, start, end) <= worker.memoryBytes;
  }

  /** The largest end of a range from `start` that fits, at most `limit`; `start` where not one layer fits. */
  reachFrom(worker: CostedWorker, start: number, limit = this.layers): number {
    let [low, high] = [start, limit];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.fits(worker, start, middle)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The smallest start of a range to `end` that fits, at least `limit`; `end` where not one layer fits. */
  reachTo(worker: CostedWorker, end: number, limit = 0): number {
    let [low, high] = [limit, end];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.fits(worker, middle, end)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** GPU bytes of the smallest range: one layer of the middle. */
  smallest(worker: CostedWorker): number {
    return this.#sums(worker).smallest;
  }

  largestBuffer(worker: CostedWorker): number {
    return this.#sums(worker).of.largestBufferBytes;
  }

  #sums(worker: CostedWorker): Sums {
    return worker.storesF16AsF32 === true ? this.#expanded : this.#plain;
  }
}

function sumsOf(costs: ModelCosts): Sums {
  const [bytes, macs] = [[0], [0]];
  for (const layer of costs.layers) {
    bytes.push(bytes.at(-1)! + layer.bytes);
    macs.push(macs.at(-1)! + layer.macs);
  }
  const least = costs.layers.reduce((least, layer) => Math.min(least, layer.bytes), Number.POSITIVE_INFINITY);
  return { of: costs, bytes, macs, smallest: least + costs.scratchBytes };
}

const known = new WeakMap<ModelCosts, StageCosts>();

/** Made once a model. */
export function stageCostsOf(costs: ModelCosts): StageCosts {
  const found = known.get(costs);
  if (found !== undefined) return found;
  const made = new StageCosts(costs);
  known.set(costs, made);
  return made;
}
