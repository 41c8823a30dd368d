import { ShoalError } from '../config/errors.ts';
import { PREFILL_CHUNK_ROWS } from '../config/limits.ts';
import type { Place } from './stage-place.ts';
import type { PromptPart } from './stage-types.ts';

/** Ids that stand at [position, position + ids.length), for penalties. */
export interface Note {
  readonly position: number;
  readonly ids: Uint32Array;
  readonly prompt: boolean;
}

/** A piece of the known ids for the first stage to compute. */
export interface IdChunk {
  readonly position: number;
  readonly tokens: Uint32Array;
  readonly sample: boolean;
}

export interface PromptIntakeOptions {
  readonly sequence: number;
  readonly place: Place;
  readonly maxPositions: number;
  /** Ids [0, promptTokens) are the prompt's. */
  readonly promptTokens: number;
  /** The last stage of a sequence with penalties wants to know all ids. */
  readonly hasPenalties: boolean;
}

/**
 * The ids that the server sends of one sequence in one epoch. The first stage computes them, from where the sequence resumes; the last
 * notes them, from 0, where there are penalties. A stage that is both has noted those that it does not compute again.
 */
export class PromptIntake {
  readonly #options: PromptIntakeOptions;
  readonly #notes: boolean;
  /** Position of the first of `#ids`; null until it is known where the sequence resumes. */
  #feedFrom: number | null;
  #ids: number[] = [];
  #isWhole = false;
  #fed = 0;
  #notedTo = 0;
  #isNoted = false;

  constructor(options: PromptIntakeOptions) {
    const { place, hasPenalties } = options;
    this.#options = options;
    this.#notes = hasPenalties && place.isLast;
    this.#feedFrom = place.awaitsResume ? null : 0;
  }

  /** The first id to compute stands at `position`. */
  resumeAt(position: number): void {
    this.#feedFrom ??= position;
  }

  /** Whether a token may be picked: what penalties look at has come. */
  get mayPick(): boolean {
    return !this.#notes || this.#isNoted;
  }

  /**
   * @returns what the engine is to note
   * @throws POSITION_GAP when ids do not follow what came before, or do not end with what is known; CONTEXT_LENGTH_EXCEEDED when no
   *   position is left for a token; INVALID_REQUEST for an id outside the vocabulary
   */
  take(part: PromptPart, vocab: number): Note[] {
    const { sequence, place } = this.#options;
    this.#check(part, vocab);
    const end = part.position + part.ids.length;
    const expected = place.isFirst ? this.#wanted : this.#notes && !this.#isNoted ? this.#notedTo : null;
    if (part.position !== expected) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${sequence}: ids start at ${part.position}, stage ${place.index} expects ${expected ?? 'none'}; open it anew`,
      );
    }
    if (part.last && end !== place.known) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${sequence}: the ids end at ${end}, it was opened with ${place.known}; send all that are known`,
      );
    }
    if (place.isFirst) {
      for (const id of part.ids) this.#ids.push(id);
      this.#isWhole = part.last;
    }
    if (!this.#notes) return [];
    this.#notedTo = end;
    this.#isNoted = part.last;
    return this.#notesOf(part);
  }

  /** The next chunk, once all ids are there; only the one that ends them asks for a sample. */
  nextChunk(): IdChunk | undefined {
    if (!this.#isWhole || this.#fed >= this.#ids.length) return undefined;
    const position = this.#feedFrom! + this.#fed;
    const tokens = Uint32Array.from(this.#ids.slice(this.#fed, this.#fed + PREFILL_CHUNK_ROWS));
    this.#fed += tokens.length;
    const sample = this.#fed === this.#ids.length;
    if (sample) {
      this.#ids = [];
      this.#fed = 0;
    }
    return { position, tokens, sample };
  }

  /** Where the next id to compute stands; null: none is wanted. */
  get #wanted(): number | null {
    if (this.#isWhole || this.#feedFrom === null) return null;
    return this.#feedFrom + this.#ids.length;
  }

  #check({ position, ids }: PromptPart, vocab: number): void {
    const { sequence, maxPositions } = this.#options;
    const length = position + ids.length;
    if (length >= maxPositions) {
      throw new ShoalError(
        'CONTEXT_LENGTH_EXCEEDED',
        `sequence ${sequence}: ${length} ids leave no room for a token in ${maxPositions} positions; shorten the prompt`,
      );
    }
    const foreign = ids.find((id) => id >= vocab);
    if (foreign !== undefined) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `sequence ${sequence}: id ${foreign} lies outside the vocabulary of ${vocab}; use the model's own tokenizer`,
      );
    }
  }

  #notesOf({ position, ids }: PromptPart): Note[] {
    const promptIds = ids.slice(0, Math.max(0, this.#options.promptTokens - position));
    const outputIds = ids.slice(promptIds.length);
    return [
      { position, ids: Uint32Array.from(promptIds), prompt: true },
      { position: position + promptIds.length, ids: Uint32Array.from(outputIds), prompt: false },
    ].filter((note) => note.ids.length > 0);
  }
}
