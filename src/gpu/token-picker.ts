import type { TokenLogprobs } from '../model/sampling.ts';
import { tokenLogprobs } from './logprobs.ts';
import { isPlainGreedy, sampleToken, TokenHistory } from './sampler.ts';
import type { SequenceOptions } from './stage-engine.ts';

type PickerOptions = Pick<SequenceOptions, 'sampling' | 'topLogprobs'>;

export interface PickedToken {
  readonly id: number;
  /** Where the sequence asks for them. */
  readonly logprobs: TokenLogprobs | undefined;
}

/** Picks the tokens of one sequence from what comes back of the LM head, and remembers its ids for penalties. */
export class TokenPicker {
  readonly #options: PickerOptions;
  readonly #history = new TokenHistory();

  constructor(options: PickerOptions) {
    this.#options = options;
  }

  /** Whether `pick` reads the row's logits: the GPU's argmax answers otherwise. */
  get needsLogits(): boolean {
    const { sampling, topLogprobs } = this.#options;
    return topLogprobs !== undefined || !isPlainGreedy(sampling);
  }

  note(position: number, ids: Iterable<number>, prompt: boolean): void {
    this.#history.note(position, ids, prompt);
  }

  /**
   * The token at `position`. Greedy ids come from the GPU, asked for log probabilities or not; the others are drawn
   * here. Each is noted for later penalties.
   * @param greedy the GPU's argmax
   * @param logits (vocab) the row's, where `needsLogits` said so; changed in place
   */
  pick(position: number, greedy: number, logits: Float32Array | undefined): PickedToken {
    const { sampling, topLogprobs } = this.#options;
    const raw = logits === undefined || topLogprobs === undefined ? undefined : logits.slice();
    const id =
      logits === undefined || isPlainGreedy(sampling)
        ? greedy
        : sampleToken(logits, sampling, this.#history, position);
    this.#history.note(position, [id], false);
    return { id, logprobs: raw && tokenLogprobs(raw, id, topLogprobs!) };
  }
}
