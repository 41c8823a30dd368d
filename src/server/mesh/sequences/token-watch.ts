import { MAX_SEQUENCES_PER_STAGE } from '../../../config/limits.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';
import type { Patience } from './patience.ts';
import type { PrefillQueue } from './prefill-queue.ts';

export interface TokenWatchOptions {
  readonly timers: Timers;
  readonly queue: PrefillQueue;
  readonly patience: Patience;
  /** No token came for so long. */
  readonly missed: (ms: number) => void;
}

/** What one sequence waits for, and for how long; and its place in the queues of its route's stages. One deadline at a time. */
export class TokenWatch {
  readonly #options: TokenWatchOptions;
  /** When what is waited for began. */
  #since = 0;
  /** Whose stages count `positions` of it in their queues. */
  #queued: { readonly route: MeshRoute; readonly positions: number } | null = null;
  #cancel: () => void = () => {};

  constructor(options: TokenWatchOptions) {
    this.#options = options;
  }

  /** `late` runs after `ms`, unless something else is waited for by then. */
  within(ms: number, late: () => void): void {
    this.#cancel();
    this.#cancel = this.#options.timers.after(ms, late);
  }

  /** @param isFresh of an answer that has no token yet: shaders may have to be compiled for it; others go on where tokens came before */
  expectFirst(route: MeshRoute, positions: number, isFresh: boolean): void {
    this.leaveQueue(null);
    this.#queued = { route, positions };
    this.#options.queue.enter(route, positions);
    this.#since = this.#now;
    this.#expectFirst(route, isFresh, MAX_SEQUENCES_PER_STAGE);
  }

  /** A token came. @param isUntimed it came after more than one step, or with others */
  taken(route: MeshRoute, isUntimed: boolean): void {
    const now = this.#now;
    this.leaveQueue(now);
    if (!isUntimed) this.#options.patience.note(route, now - this.#since);
    this.#since = now;
  }

  /** From the last token on, or from now where `taken` was not called. */
  expectNext(route: MeshRoute, fromNow = false): void {
    if (fromNow) this.#since = this.#now;
    const leftMs = () => this.#since + this.#options.patience.deadlineMs(route) - this.#now;
    // Looked at again when it is due: prefill of others may have come in between.
    this.within(Math.max(0, leftMs()), () => {
      if (leftMs() > 0) this.expectNext(route);
      else this.#missed();
    });
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#cancel();
  }

  /** @param prefilledAt when the first token came; null where none did */
  leaveQueue(prefilledAt: number | null): void {
    if (this.#queued === null) return;
    this.#options.queue.leave(this.#queued.route, this.#queued.positions, prefilledAt);
    this.#queued = null;
  }

  get #now(): number {
    return this.#options.timers.now();
  }

  /** @param overtakings how often others may be through before it; then it is stuck, though they are not */
  #expectFirst(route: MeshRoute, isFresh: boolean, overtakings: number): void {
    const { queue, patience } = this.#options;
    const leftMs = () => {
      const tokenMs = isFresh ? patience.firstDeadlineMs(route) : patience.bareDeadlineMs(route);
      return queue.dueAt(route, this.#since, tokenMs) - this.#now;
    };
    this.within(Math.max(0, leftMs()), () => {
      if (overtakings > 0 && leftMs() > 0) this.#expectFirst(route, isFresh, overtakings - 1);
      else this.#missed();
    });
  }

  #missed(): void {
    this.#options.missed(Math.round(this.#now - this.#since));
  }
}
