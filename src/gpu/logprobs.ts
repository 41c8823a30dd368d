import type { TokenLogprobs } from '../model/sampling.ts';

/**
 * Log-softmax in f64 of the picked token and of the `count` likeliest.
 * @param logits (vocab) f32, finite, as the model gave them
 */
export function tokenLogprobs(logits: Float32Array, picked: number, count: number): TokenLogprobs {
  const top = highest(logits, count);
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const logSum = Math.log(sum);
  const of = (id: number) => logits[id]! - max - logSum;
  return { picked: of(picked), top: top.map((id) => [id, of(id)]) };
}

/** Ids of the highest logits, highest first, of equals the lower id first. */
function highest(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  if (count === 0) return ids;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (ids.length === count) {
      if (logit <= logits[ids[count - 1]!]!) continue;
      ids.pop();
    }
    let at = ids.length;
    while (at > 0 && logits[ids[at - 1]!]! < logit) at--;
    ids.splice(at, 0, id);
  }
  return ids;
}
