/**
 * The model that simulated workers compute: integers that behave as a transformer's numbers do where it matters. A row's hidden state
 * is a hash of its id, of its layers and of every row before it in the same sequence, so a lost, doubled, misplaced, stale or foreign
 * row changes every token that follows; and how the layers are cut changes nothing.
 */

import type { TokenHistory } from '../gpu/sampler.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import { hasPenalties, type SamplingParams } from '../model/sampling.ts';

export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b ^ (b >>> 15), 0xc2b2_ae35);
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4_eb2f);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What the embedding gives for an id. */
export function embed(id: number): number {
  return mix(id, 7);
}

/** Without the bits that make an exponent of all ones, in f16 or f32: stages refuse rows with Inf or NaN. */
export function finite(hash: number): number {
  return (hash & 0xbfff_bfff) >>> 0;
}

/** The KV cache of one sequence over layers [start, start + layers): one hash a layer and position. */
export class HashCache {
  /** (positions, layers) u32, grown as needed. */
  #values: Uint32Array;
  readonly #start: number;
  readonly #layers: number;
  readonly #f16RangeOneIn: number;
  #length = 0;
  /** Whether the last row left the range of f16 in some layer, computed for that wire format. */
  leftF16 = false;

  /** @param f16RangeOneIn one row in so many leaves the range of f16 in a layer, wherever it is computed; 0: none */
  constructor(start: number, layers: number, f16RangeOneIn = 0) {
    this.#start = start;
    this.#layers = layers;
    this.#f16RangeOneIn = f16RangeOneIn;
    this.#values = new Uint32Array(layers * 64);
  }

  get length(): number {
    return this.#length;
  }

  /**
   * One row at `position`, which must be the length held, through layers [first, last). What the sequence's other layers would
   * have cached stays empty, and gives another result if it is ever used.
   * @param bits of the class of adapters: another class gives other numbers
   */
  forward(row: number, first: number, last: number, wire: WireDtype, bits: number): number {
    const position = this.#length;
    const layers = this.#layers;
    if ((position + 1) * layers > this.#values.length) this.#grow();
    const values = this.#values;
    const at = position * layers;
    const rounding = wire === 'f16' ? 0x16 : 0x32;
    const oneIn = wire === 'f16' ? this.#f16RangeOneIn : 0;
    let hash = row;
    this.leftF16 = false;
    for (let layer = first; layer < last; layer++) {
      const index = layer - this.#start;
      const before = position === 0 ? 0 : values[at - layers + index]!;
      const cached = mix(before, mix(hash, position));
      values[at + index] = cached;
      hash = finite(mix(hash ^ bits, mix(cached, layer * 64 + rounding)));
      if (oneIn > 0 && hash % oneIn === 0) this.leftF16 = true;
    }
    this.#length += 1;
    return hash;
  }

  truncate(length: number): void {
    this.#values.fill(0, length * this.#layers, this.#length * this.#layers);
    this.#length = length;
  }

  #grow(): void {
    const grown = new Uint32Array(this.#values.length * 2);
    grown.set(this.#values);
    this.#values = grown;
  }
}

/** The token at `position` after the row whose hidden state is `hash`; draws are keyed by (seed, position). */
export function sampleHash(
  hash: number,
  position: number,
  sampling: SamplingParams,
  history: TokenHistory,
  vocab: number,
): number {
  let key = sampling.temperature === 0 ? 1 : mix(sampling.seed, position);
  for (const [id, bias] of sampling.logitBias) key = mix(key, mix(id, Math.round(bias * 100)));
  if (hasPenalties(sampling)) {
    // Penalties look at what was seen and how often, not at the order in which it was told.
    let seen = 0;
    for (const [id, count] of history.countsBefore(position)) seen = (seen + mix(id, count)) >>> 0;
    key = mix(key, seen);
  }
  return mix(hash, key) % vocab;
}
