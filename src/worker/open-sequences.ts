import { ShoalError } from '../config/errors.ts';
import { Place } from './stage-place.ts';
import { StageSequence } from './stage-sequence.ts';
import type { OpenSequence, StageOptions } from './stage-types.ts';
import type { StepLoop } from './step-loop.ts';

/**
 * The sequences of a stage: opened, moved to other routes, closed. Neither moving nor closing touches what the engine is
 * computing; both wait until the micro-batch is over.
 */
export class OpenSequences {
  readonly #options: Pick<StageOptions, 'engine' | 'events' | 'kept'>;
  readonly #loop: StepLoop;
  readonly #open = new Map<number, StageSequence>();
  /** Closed while the engine computes one of their rows. */
  readonly #closing = new Set<number>();
  /** Opened again meanwhile. */
  readonly #waiting = new Map<number, OpenSequence>();

  constructor(options: Pick<StageOptions, 'engine' | 'events' | 'kept'>, loop: StepLoop) {
    this.#options = options;
    this.#loop = loop;
  }

  get size(): number {
    return this.#open.size;
  }

  get(sequence: number): StageSequence | undefined {
    return this.#open.get(sequence);
  }

  has(sequence: number): boolean {
    return this.#open.has(sequence) || this.#waiting.has(sequence);
  }

  values(): StageSequence[] {
    return [...this.#open.values()];
  }

  /** Makes room for a sequence, or takes another route for it; answers with `opened` or `sequenceFailed`. */
  open(options: OpenSequence): void {
    const { sequence, epoch } = options;
    const state = this.#open.get(sequence);
    try {
      if (state !== undefined) this.#move(state, options);
      else if (this.#closing.has(sequence)) this.#waiting.set(sequence, options);
      else this.#make(options);
    } catch (error) {
      this.close(sequence);
      this.#options.events.sequenceFailed({ sequence, epoch }, ShoalError.from(error));
    }
  }

  /** Idempotent. */
  close(sequence: number): void {
    this.#waiting.delete(sequence);
    const state = this.#open.get(sequence);
    if (state === undefined) return;
    this.#open.delete(sequence);
    this.#options.kept.remove(state);
    this.#loop.drop(sequence);
    // The engine must not lose KV pages that a running batch writes.
    if (this.#loop.computes(sequence)) this.#closing.add(sequence);
    else this.#options.engine.closeSequence(sequence);
  }

  /** @param peer whose frame it was */
  fail(state: StageSequence, error: ShoalError, peer?: string): void {
    if (this.#open.get(state.sequence) !== state) return;
    this.close(state.sequence);
    this.#options.events.sequenceFailed(state.id, error, peer);
  }

  /** The micro-batch is over: does what waited for that. */
  settle(): void {
    for (const sequence of this.#closing) this.#options.engine.closeSequence(sequence);
    this.#closing.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const options of waiting) this.open(options);
    for (const state of this.values()) if (state.opened === null) this.#settle(state);
  }

  /** Forgets all without a word to the engine, which is about to go. */
  clear(): void {
    for (const state of this.#open.values()) this.#options.kept.remove(state);
    this.#open.clear();
    this.#waiting.clear();
  }

  #make(options: OpenSequence): void {
    const { engine, kept, events } = this.#options;
    const { sequence, maxPositions, sampling, topLogprobs } = options;
    const place = new Place(options, engine);
    engine.openSequence(sequence, {
      maxPositions,
      sampling,
      ...(topLogprobs !== undefined && { topLogprobs }),
    });
    const state = new StageSequence(options, place, kept);
    this.#open.set(sequence, state);
    kept.add(state);
    events.opened(state.id, 0, 0);
  }

  #move(state: StageSequence, options: OpenSequence): void {
    const { events, engine } = this.#options;
    const { sequence, epoch } = options;
    if (epoch < state.place.epoch) {
      events.sequenceFailed({ sequence, epoch }, staleEpoch(state, epoch));
    } else if (epoch > state.place.epoch) {
      state.move(new Place(options, engine));
      this.#loop.drop(sequence);
      if (!this.#loop.computes(sequence)) this.#settle(state);
    } else if (!state.place.isSame(options)) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `sequence ${sequence} is open in epoch ${epoch} with another route; use a higher epoch, or another number`,
      );
    } else if (state.opened !== null) {
      // Asked again by a server that did not hear the answer.
      events.opened(state.id, state.opened.position, state.opened.keptFrom);
    }
  }

  #settle(state: StageSequence): void {
    const { engine, events } = this.#options;
    try {
      const { position, keptFrom } = state.settle(engine.length(state.sequence));
      engine.truncate(state.sequence, position);
      events.opened(state.id, position, keptFrom);
    } catch (error) {
      this.fail(state, ShoalError.from(error));
    }
  }
}

export function staleEpoch({ sequence, place }: StageSequence, epoch: number): ShoalError {
  return new ShoalError(
    'EPOCH_STALE',
    `sequence ${sequence}: epoch ${epoch} was named, this stage has epoch ${place.epoch}; its route was replaced`,
  );
}
