import { hasPenalties, type SamplingParams } from '../model/sampling.ts';
import { drawAt } from './random.ts';

/** Whether the token is the highest logit and nothing else: the GPU's argmax answers then. */
export function isPlainGreedy(params: SamplingParams): boolean {
  return params.temperature === 0 && !hasPenalties(params) && params.logitBias.length === 0;
}

/** The ids of a sequence so far, by position: what penalties look at. */
export class TokenHistory {
  readonly #ids = new Map<number, { id: number; prompt: boolean }>();
  /** Of the ids at positions [0, #countedTo): a token is asked for after each, so that nobody may count all anew. */
  readonly #counts = new Map<number, number>();
  #countedTo = 0;

  note(position: number, ids: Iterable<number>, prompt: boolean): void {
    // Others stand there now: a sequence that was cut and is computed again.
    if (position < this.#countedTo) this.#recount();
    let at = position;
    for (const id of ids) this.#ids.set(at++, { id, prompt });
  }

  /**
   * Every id that stands before `position`, with its count in the output (0: only in the prompt). Later ones are those of a
   * sequence that was cut and is computed again: they do not count until the text reaches them. Valid until the next call.
   */
  countsBefore(position: number): ReadonlyMap<number, number> {
    if (position < this.#countedTo) this.#recount();
    for (; this.#countedTo < position; this.#countedTo++) {
      const there = this.#ids.get(this.#countedTo);
      if (there === undefined) continue;
      const { id, prompt } = there;
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + (prompt ? 0 : 1));
    }
    return this.#counts;
  }

  #recount(): void {
    this.#counts.clear();
    this.#countedTo = 0;
  }
}

/**
 * Picks the token at `position`. The order is that of Hugging Face `generate`, with vLLM's additive penalties:
 * bias; repetition, frequency and presence penalty; temperature; top-k; top-p; min-p; then one draw keyed by (seed, position).
 * @param logits (vocab) f32, finite; changed in place
 */
export function sampleToken(
  logits: Float32Array,
  params: SamplingParams,
  history: TokenHistory,
  position: number,
): number {
  for (const [id, bias] of params.logitBias) if (id < logits.length) logits[id]! += bias;
  if (hasPenalties(params)) penalize(logits, params, history, position);
  const best = argmax(logits);
  if (params.temperature === 0) return best;

  const highest = logits[best]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - highest) / params.temperature));
  const kept = keepTop(weights, params);
  let total = 0;
  for (const id of kept) total += weights[id]!;
  let rest = drawAt(params.seed, position) * total;
  for (const id of kept) {
    rest -= weights[id]!;
    if (rest < 0) return id;
  }
  return best;
}

/** The id with the highest logit, the lowest of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

function penalize(
  logits: Float32Array,
  params: SamplingParams,
  history: TokenHistory,
  position: number,
): void {
  for (const [id, count] of history.countsBefore(position)) {
    if (id >= logits.length) continue;
    let logit = logits[id]!;
    logit = logit > 0 ? logit / params.repetitionPenalty : logit * params.repetitionPenalty;
    if (count > 0) logit -= params.presencePenalty + params.frequencyPenalty * count;
    logits[id] = logit;
  }
}

/**
 * The ids that top-k, top-p and min-p leave, most probable first (of equals the lower id first).
 * Without any of them: all ids, in order, unsorted.
 */
function keepTop(weights: Float64Array, params: SamplingParams): Uint32Array {
  const { topK, topP, minP } = params;
  let ids = Uint32Array.from(weights, (_, id) => id);
  // Weights are relative to the highest, so min-p is a plain threshold, and filtering by it first spares most of the sort
  // where top-p is off.
  if (topP === 1 && minP > 0) ids = ids.filter((id) => weights[id]! >= minP);
  if (topK === 0 && topP === 1) return ids;
  ids.sort((a, b) => weights[b]! - weights[a]! || a - b);
  if (topK > 0) ids = ids.subarray(0, topK);
  if (topP < 1) {
    let total = 0;
    for (const id of ids) total += weights[id]!;
    let before = 0;
    let count = 0;
    while (count < ids.length && (count === 0 || before < topP * total)) before += weights[ids[count++]!]!;
    ids = ids.subarray(0, count);
  }
  return minP > 0 ? ids.filter((id) => weights[id]! >= minP) : ids;
}
