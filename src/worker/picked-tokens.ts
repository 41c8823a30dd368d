import { MAX_PICKED_BYTES, PICKED_LOGPROB_BYTES, PICKED_TOKEN_BYTES } from '../config/limits.ts';
import type { PickedToken } from './stage-types.ts';

/**
 * The tokens that the last stages picked for one sequence, without a gap, until it is closed: a server that was away hears them again.
 * Bounded by the sequence's positions, and, for log probabilities are many, by MAX_PICKED_BYTES: the oldest go first. A server that
 * asks for them learns where those that are left begin.
 */
export class PickedTokens {
  #tokens: PickedToken[] = [];
  #bytes = 0;
  /** The first stage has been sent the newest. */
  #isSent = true;

  add(picked: PickedToken): void {
    // After another route the first that comes may lie beyond what this worker picked itself.
    if (picked.position !== this.#end) this.#clear();
    this.#tokens.push(picked);
    this.#bytes += bytesOf(picked);
    this.#bound();
    this.#isSent = picked.finish !== null;
  }

  /**
   * Those of before this worker was the last stage, which picked none of them.
   * @param ids at [known - ids.length, known)
   */
  learn(known: number, ids: readonly number[]): void {
    // Of a time before another was the last.
    if (this.#end < known) this.#clear();
    // It may have picked the first of its own already.
    const first = this.first ?? known;
    const from = known - ids.length;
    const older = ids
      .slice(0, Math.max(0, first - from))
      .map((token, index) => ({ position: from + index, token, finish: null, logprobs: undefined }));
    this.#tokens.unshift(...older);
    this.#bytes += older.length * PICKED_TOKEN_BYTES;
    this.#bound();
  }

  /** Forgets those at positions ≥ `position`: they are picked again. */
  truncate(position: number): void {
    while ((this.#tokens.at(-1)?.position ?? -1) >= position) this.#bytes -= bytesOf(this.#tokens.pop()!);
    this.#isSent = true;
  }

  /** Those at positions ≥ `position`, in order. */
  from(position: number): readonly PickedToken[] {
    return this.#tokens.filter((token) => token.position >= position);
  }

  /** What they take of memory, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Position of the oldest; undefined: there is none. */
  get first(): number | undefined {
    return this.#tokens[0]?.position;
  }

  /** The token that the first stage waits for. */
  get unsent(): PickedToken | undefined {
    return this.#isSent ? undefined : this.#tokens.at(-1);
  }

  sent(): void {
    this.#isSent = true;
  }

  get isFinished(): boolean {
    return (this.#tokens.at(-1)?.finish ?? null) !== null;
  }

  #clear(): void {
    this.#tokens = [];
    this.#bytes = 0;
  }

  #bound(): void {
    while (this.#bytes > MAX_PICKED_BYTES && this.#tokens.length > 1) {
      this.#bytes -= bytesOf(this.#tokens.shift()!);
    }
  }

  get #end(): number {
    const last = this.#tokens.at(-1);
    return last === undefined ? -1 : last.position + 1;
  }
}

function bytesOf({ logprobs }: PickedToken): number {
  return PICKED_TOKEN_BYTES + (logprobs === undefined ? 0 : (1 + logprobs.top.length) * PICKED_LOGPROB_BYTES);
}
