import { ShoalError } from '../config/errors.ts';
import { MAX_SEQUENCES_PER_STAGE } from '../config/limits.ts';
import type { Pipeline } from './pipeline.ts';

interface Waiter {
  take(pipeline: Pipeline): void;
}

/**
 * Who may run on the live pipeline: so many sequences as its stages hold, the others wait in the order they came.
 * A sequence that lost its pipeline goes before new ones: somebody is in the middle of its answer.
 */
export class Slots {
  readonly #live: () => Pipeline | null;
  readonly #resumed: Waiter[] = [];
  readonly #fresh: Waiter[] = [];

  constructor(live: () => Pipeline | null) {
    this.#live = live;
  }

  get waiting(): number {
    return this.#resumed.length + this.#fresh.length;
  }

  /**
   * Resolves with the pipeline on which a slot was taken: `pipeline.sequences` counts it.
   * @throws the signal's reason, ABORTED when it is no ShoalError
   */
  async acquire(isResumed: boolean, signal: AbortSignal): Promise<Pipeline> {
    if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
    const queue = isResumed ? this.#resumed : this.#fresh;
    return new Promise((resolve, reject) => {
      const abort = () => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(ShoalError.from(signal.reason, 'ABORTED'));
      };
      const waiter: Waiter = {
        take: (pipeline) => {
          signal.removeEventListener('abort', abort);
          pipeline.sequences++;
          resolve(pipeline);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      queue.push(waiter);
      this.pump();
    });
  }

  /** To be called when a pipeline went live or a sequence ended. */
  pump(): void {
    const pipeline = this.#live();
    while (pipeline !== null && pipeline.sequences < MAX_SEQUENCES_PER_STAGE) {
      const waiter = this.#resumed.shift() ?? this.#fresh.shift();
      if (waiter === undefined) return;
      waiter.take(pipeline);
    }
  }
}
