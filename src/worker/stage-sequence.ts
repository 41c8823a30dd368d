import { ShoalError } from '../config/errors.ts';
import { hasPenalties } from '../model/sampling.ts';
import { areFinite } from './finite-rows.ts';
import type { Work } from './frame-work.ts';
import { type KeepsRows, type KeptBudget, KeptRows } from './kept-rows.ts';
import { Outgoing } from './outgoing.ts';
import { PickedTokens } from './picked-tokens.ts';
import { PromptIntake } from './prompt-intake.ts';
import type { Place } from './stage-place.ts';
import type { Finish, OpenSequence, ResumeSequence, SequenceId } from './stage-types.ts';

/** What a stage has of a sequence when a route begins: `opened` tells the server. */
export interface Opened {
  readonly position: number;
  readonly keptFrom: number;
}

/** What one stage remembers of one open sequence, beside the engine's KV cache; a new route replaces what belongs to the old one. */
export class StageSequence implements KeepsRows {
  readonly sequence: number;
  readonly maxPositions: number;
  readonly hasPenalties: boolean;
  readonly kept: KeptRows;
  readonly tokens = new PickedTokens();
  readonly #promptTokens: number;
  readonly #eos: ReadonlySet<number>;
  #place: Place;
  #outgoing: Outgoing;
  #prompt: PromptIntake;
  /** null while the engine still computes rows of the route before. */
  #opened: Opened | null;
  /** What is held was computed as this route computes it. */
  #holdsAlike = true;
  #hasBegun = false;

  constructor(options: OpenSequence, place: Place, budget: KeptBudget) {
    this.sequence = options.sequence;
    this.maxPositions = options.maxPositions;
    this.hasPenalties = hasPenalties(options.sampling);
    this.#promptTokens = options.promptTokens;
    this.#eos = new Set(options.eosTokenIds);
    this.kept = new KeptRows(budget);
    this.#place = place;
    this.#prompt = this.#intake();
    this.#outgoing = new Outgoing(place, this.kept, 0);
    this.#opened = { position: 0, keptFrom: 0 };
  }

  get place(): Place {
    return this.#place;
  }

  get id(): SequenceId {
    return { sequence: this.sequence, epoch: this.#place.epoch };
  }

  get outgoing(): Outgoing {
    return this.#outgoing;
  }

  get prompt(): PromptIntake {
    return this.#prompt;
  }

  /** What `opened` told of this route; null: it has not been told yet. */
  get opened(): Opened | null {
    return this.#opened;
  }

  get sentTo(): number | null {
    return this.#opened === null ? null : this.#outgoing.sentTo;
  }

  /** Whether the next stage (of the last, the first) was sent anything on this route. */
  get hasSent(): boolean {
    if (this.#opened === null) return false;
    return this.#place.isLast ? this.tokens.from(this.#place.known).length > 0 : this.#outgoing.hasSent;
  }

  /** Takes another route; `settle` follows once the engine computes nothing of the one before. */
  move(place: Place): void {
    this.#holdsAlike &&= place.computesLike(this.#place);
    this.#place = place;
    this.#opened = null;
    this.#hasBegun = false;
    this.#prompt = this.#intake();
    this.tokens.truncate(place.known);
  }

  /**
   * Settles on the new route.
   * @param held positions in the KV cache
   * @returns positions to keep there, and the rows that can be sent again
   */
  settle(held: number): Opened {
    const { known } = this.#place;
    // The row before the first token to come goes the whole way round again.
    const position = this.#holdsAlike ? Math.min(held, Math.max(0, known - 1)) : 0;
    this.#holdsAlike = true;
    this.kept.truncate(position);
    const keptFrom = this.kept.end > this.kept.from ? this.kept.from : position;
    this.#outgoing = new Outgoing(this.#place, this.kept, position);
    this.#opened = { position, keptFrom };
    return this.#opened;
  }

  /** Whether rows of this route were taken to be computed: from then on the KV cache is theirs to trim. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Rows from `position` on are about to be computed. */
  begin(position: number): void {
    this.#hasBegun = true;
    this.kept.truncate(position);
    this.#outgoing.rewind(position);
  }

  resume({ position, next, ids }: ResumeSequence): void {
    if (ids !== undefined) this.tokens.learn(this.#place.known, ids);
    if (!this.#hasBegun) this.kept.truncate(position);
    this.#prompt.resumeAt(position);
    this.#outgoing.resumeAt(next);
  }

  /**
   * What a frame's entry must be to this sequence; its position against the KV cache is checked when its turn comes.
   * @throws FRAME_INVALID, POSITION_GAP, NON_FINITE
   */
  checkWork(work: Work, vocab: number, rowBytes: number): void {
    if (work.wire !== this.#place.wire) {
      throw new ShoalError(
        'FRAME_INVALID',
        `sequence ${this.sequence}: activations in ${work.wire}, opened with ${this.#place.wire}`,
      );
    }
    const bytes = work.hidden?.byteLength ?? work.count * rowBytes;
    if (bytes !== work.count * rowBytes) {
      throw new ShoalError(
        'FRAME_INVALID',
        `sequence ${this.sequence}: ${work.count} rows of ${rowBytes} B in ${work.wire} are ${work.count * rowBytes} B, ${bytes} B came; do both stages hold the same model?`,
      );
    }
    // Here, not in the engine: there it would be this worker's own fault.
    if (work.hidden !== undefined && !areFinite(work.hidden, work.wire)) {
      throw new ShoalError(
        'NON_FINITE',
        `sequence ${this.sequence}: rows from position ${work.position} on came with a value that is Inf or NaN; the stage before is damaged`,
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

  /** What the token at `position` means for the sequence. */
  finishAt(position: number, token: number): Finish {
    if (this.#eos.has(token)) return 'stop';
    return position >= this.maxPositions - 1 ? 'length' : null;
  }

  #intake(): PromptIntake {
    return new PromptIntake({
      sequence: this.sequence,
      place: this.#place,
      maxPositions: this.maxPositions,
      promptTokens: this.#promptTokens,
      hasPenalties: this.hasPenalties,
    });
  }
}
