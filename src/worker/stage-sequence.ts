import { ShoalError } from '../config/errors.ts';
import { MAX_UNACKED_CHUNKS, PREFILL_CHUNK_ROWS } from '../config/limits.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import { hasPenalties } from '../model/sampling.ts';
import type { Work } from './frame-work.ts';
import type { OpenSequence, PromptPart } from './stage-types.ts';

/** What one stage remembers of one open sequence, beside the engine's KV cache. */
export class StageSequence {
  readonly sequence: number;
  readonly wire: WireDtype;
  readonly maxPositions: number;
  readonly promptTokens: number;
  readonly hasPenalties: boolean;
  readonly #eos: ReadonlySet<number>;
  #prompt: number[] = [];
  #promptWhole = false;
  #fed = 0;
  /** Positions of chunks sent on and not yet acknowledged, oldest first. */
  readonly #unacked: number[] = [];

  constructor(options: OpenSequence) {
    this.sequence = options.sequence;
    this.wire = options.wire;
    this.maxPositions = options.maxPositions;
    this.promptTokens = options.promptTokens;
    this.hasPenalties = hasPenalties(options.sampling);
    this.#eos = new Set(options.eosTokenIds);
  }

  get promptWhole(): boolean {
    return this.#promptWhole;
  }

  /**
   * Adds ids of the prompt.
   * @throws POSITION_GAP when they do not follow what came before, or the prompt was already whole;
   *   CONTEXT_LENGTH_EXCEEDED when no position is left for a token; INVALID_REQUEST for an id outside the vocabulary
   */
  addPrompt(part: PromptPart, vocab: number): void {
    if (this.#promptWhole || part.position !== this.#prompt.length) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${this.sequence}: prompt ids start at ${part.position}, ${this.#promptWhole ? 'after the last part' : `expected ${this.#prompt.length}`}; restart the sequence`,
      );
    }
    const length = part.position + part.ids.length;
    if (length >= this.maxPositions) {
      throw new ShoalError(
        'CONTEXT_LENGTH_EXCEEDED',
        `sequence ${this.sequence}: ${length} prompt ids leave no room for a token in ${this.maxPositions} positions; shorten the prompt`,
      );
    }
    const foreign = part.ids.find((id) => id >= vocab);
    if (foreign !== undefined) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `sequence ${this.sequence}: id ${foreign} lies outside the vocabulary of ${vocab}; use the model's own tokenizer`,
      );
    }
    for (const id of part.ids) this.#prompt.push(id);
    this.#promptWhole = part.last;
  }

  /** The next chunk of a whole prompt; only the chunk that ends the prompt asks for a sample. */
  nextChunk(): Work | undefined {
    if (!this.#promptWhole || this.#fed >= this.#prompt.length) return undefined;
    const position = this.#fed;
    const tokens = Uint32Array.from(this.#prompt.slice(position, position + PREFILL_CHUNK_ROWS));
    this.#fed += tokens.length;
    const sample = this.#fed === this.#prompt.length;
    if (sample) {
      this.#prompt = [];
      this.#fed = 0;
    }
    return {
      sequence: this.sequence,
      position,
      count: tokens.length,
      sample,
      truncate: false,
      wire: this.wire,
      tokens,
    };
  }

  /**
   * What a frame's entry must be to this sequence; its position against the KV cache is checked when its turn comes.
   * @throws FRAME_INVALID, POSITION_GAP
   */
  checkWork(work: Work, vocab: number): void {
    if (work.wire !== this.wire) {
      throw new ShoalError(
        'FRAME_INVALID',
        `sequence ${this.sequence}: activations in ${work.wire}, opened with ${this.wire}`,
      );
    }
    const foreign = work.tokens?.find((id) => id >= vocab);
    if (foreign !== undefined) {
      throw new ShoalError(
        'FRAME_INVALID',
        `sequence ${this.sequence}: token ${foreign} lies outside the vocabulary of ${vocab}`,
      );
    }
    if (work.position + work.count > this.maxPositions) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${this.sequence}: positions ${work.position} to ${work.position + work.count - 1} lie beyond the ${this.maxPositions} it was opened with`,
      );
    }
  }

  /** Whether one more chunk may be sent to the next stage. */
  get windowOpen(): boolean {
    return this.#unacked.length < MAX_UNACKED_CHUNKS;
  }

  chunkSent(position: number): void {
    this.#unacked.push(position);
  }

  /** @returns false when that chunk was not the oldest one waiting */
  chunkAcknowledged(position: number): boolean {
    if (this.#unacked[0] !== position) return false;
    this.#unacked.shift();
    return true;
  }

  /** What the token at `position` means for the sequence. */
  finishAt(position: number, token: number): 'stop' | 'length' | null {
    if (this.#eos.has(token)) return 'stop';
    return position >= this.maxPositions - 1 ? 'length' : null;
  }
}
