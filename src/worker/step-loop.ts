import { ShoalError } from '../config/errors.ts';
import { MAX_STAGE_QUEUE } from '../config/limits.ts';
import type { StageEngine, StepInput, StepOutput } from '../gpu/stage-engine.ts';
import { pickBatch, type Turn } from './batching.ts';
import { concatBytes, concatIds, type Work } from './frame-work.ts';

/** Errors of one row, after which the other rows of its batch are computed again without it. */
const ROW_ERRORS = new Set(['F16_RANGE', 'NON_FINITE', 'POSITION_GAP', 'SEQUENCE_UNKNOWN']);

/** What the loop asks and tells the stage whose rows it computes. */
export interface StepOwner {
  /** Whether the work may be computed now; it waits otherwise. */
  isReady(work: Work): boolean;
  /** Its turn has come: makes the KV cache end where it begins. @returns false when that failed, which the owner has dealt with */
  begin(work: Work): boolean;
  /** Whether the result is still wanted. */
  isCurrent(work: Work): boolean;
  computed(works: readonly Work[], output: StepOutput): void;
  rowFailed(work: Work, error: ShoalError): void;
  /** The engine is of no use any more. */
  engineFailed(error: ShoalError): void;
  /** No row is being computed: what must not happen meanwhile can happen now. */
  batchOver(): void;
}

/** Feeds one engine: what waits is merged into micro-batches, and one is computed at a time. */
export class StepLoop {
  readonly #engine: StageEngine;
  readonly #owner: StepOwner;
  #queue: Work[] = [];
  #computing: readonly Work[] = [];
  #turn: Turn = 'decode';
  #stopped = false;

  constructor(engine: StageEngine, owner: StepOwner) {
    this.#engine = engine;
    this.#owner = owner;
  }

  /** @throws OVERLOADED */
  add(work: Work): void {
    if (this.#queue.length >= MAX_STAGE_QUEUE) {
      throw new ShoalError(
        'OVERLOADED',
        `${this.#queue.length} entries wait for the engine, the bound is ${MAX_STAGE_QUEUE}; send fewer requests at once`,
      );
    }
    this.#queue.push(work);
  }

  /** Forgets what waits of a sequence; what is being computed goes on. */
  drop(sequence: number): void {
    this.#queue = this.#queue.filter((work) => work.sequence !== sequence);
  }

  /** Whether a row of the sequence is being computed. */
  computes(sequence: number): boolean {
    return this.#computing.some((work) => work.sequence === sequence);
  }

  stop(): void {
    this.#stopped = true;
    this.#queue = [];
  }

  /** Starts the next micro-batch, unless one is being computed or nothing is ready. */
  pump(): void {
    if (this.#stopped || this.#computing.length > 0) return;
    const picked = pickBatch(this.#queue, (work) => this.#owner.isReady(work), this.#turn);
    if (picked.length === 0) return;
    this.#turn = this.#turn === 'decode' ? 'prefill' : 'decode';
    const batch = picked.map((index) => this.#queue[index]!);
    const taken = new Set(batch);
    this.#queue = this.#queue.filter((work) => !taken.has(work));
    this.#computing = batch;
    void this.#compute(batch).finally(() => {
      this.#computing = [];
      if (this.#stopped) return;
      this.#owner.batchOver();
      this.pump();
    });
  }

  async #compute(batch: readonly Work[]): Promise<void> {
    const works = batch.filter((work) => this.#owner.begin(work));
    if (works.length === 0) return;
    try {
      const output = await this.#step(works);
      if (!this.#stopped) this.#owner.computed(works, output);
    } catch (thrown) {
      if (this.#stopped) return;
      await this.#recover(works, ShoalError.from(thrown));
    }
  }

  #step(works: readonly Work[]): Promise<StepOutput> {
    const { shard } = this.#engine;
    const { wire, layers, tokens } = works[0]!;
    const entries = works.map(({ sequence, position, count, sample }) => ({
      sequence,
      position,
      count,
      sample,
    }));
    const isWhole = layers[0] === shard.start && layers[1] === shard.end;
    const input: StepInput = {
      entries,
      wire,
      ...(!isWhole && { layers }),
      ...(tokens === undefined
        ? { hidden: concatBytes(works.map((work) => work.hidden!)) }
        : { tokens: concatIds(works) }),
    };
    return this.#engine.step(input);
  }

  /** One bad row must not fail its company: they go back to where they were and are computed one by one. */
  async #recover(works: readonly Work[], error: ShoalError): Promise<void> {
    const owner = this.#owner;
    if (!ROW_ERRORS.has(error.code)) {
      owner.engineFailed(error);
      return;
    }
    for (const { sequence, position } of works) {
      if (this.#engine.length(sequence) > position) this.#engine.truncate(sequence, position);
    }
    const [only] = works;
    if (works.length === 1 && only !== undefined) {
      if (owner.isCurrent(only)) owner.rowFailed(only, error);
      return;
    }
    for (const work of works) {
      if (!owner.isCurrent(work)) continue;
      try {
        const output = await this.#step([work]);
        if (this.#stopped) return;
        owner.computed([work], output);
      } catch (thrown) {
        if (this.#stopped) return;
        await this.#recover([work], ShoalError.from(thrown));
      }
    }
  }
}
