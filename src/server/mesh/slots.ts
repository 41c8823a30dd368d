import { ShoalError } from '../../config/errors.ts';
import { CAPACITY_RETRY_MS, MAX_SEQUENCES_PER_STAGE } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import { givesWay, goesBefore, roundFor, type Turn } from '../../schedule/turns.ts';
import type { Pipeline } from './pipeline.ts';

interface Waiter extends Turn {
  take(pipeline: Pipeline): void;
  refuse(error: ShoalError): void;
}

/** What is known of a live pipeline whose stages have refused a sequence for lack of KV cache. */
interface Tight {
  readonly pipeline: Pipeline;
  /** Nobody is let in until a sequence has left or CAPACITY_RETRY_MS have passed. */
  isBlocked: boolean;
  /** The one who was let in and is not open yet: the others wait for the outcome, so that nobody overtakes. */
  probe: number | null;
}

/**
 * Who may run on the live pipeline: so many sequences as its stages hold. The others wait, resumed ones first, then one
 * after the other by client; who is refused by a stage keeps its place.
 */
export class Slots {
  readonly #live: () => Pipeline | null;
  readonly #timers: Timers;
  /** In the order of their turns. */
  readonly #waiters: Waiter[] = [];
  #tight: Tight | null = null;
  /** The highest round that was let in. */
  #taken = 0;
  #cancelRetry: () => void = () => {};

  constructor(live: () => Pipeline | null, timers: Timers) {
    this.#live = live;
    this.#timers = timers;
  }

  /** The round of a generation that comes now. */
  roundFor(client: string): number {
    return roundFor(client, this.#waiters, this.#taken);
  }

  /**
   * Refuses with `error` who has to give way to a newcomer of `client`.
   * @param places generations of each client, waiting or not
   * @returns false: nobody has to
   */
  makeRoom(client: string, places: ReadonlyMap<string, number>, error: ShoalError): boolean {
    const waiter = givesWay(client, this.#waiters, places);
    waiter?.refuse(error);
    return waiter !== null;
  }

  /**
   * Resolves with the pipeline on which a slot was taken: `pipeline.sequences` counts it.
   * @throws the signal's reason, ABORTED when it is no ShoalError; OVERLOADED where it had to give way
   */
  async acquire(turn: Turn, signal: AbortSignal): Promise<Pipeline> {
    if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
    return new Promise((resolve, reject) => {
      const leave = (error: ShoalError) => {
        signal.removeEventListener('abort', abort);
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(error);
      };
      const abort = () => leave(ShoalError.from(signal.reason, 'ABORTED'));
      const waiter: Waiter = {
        ...turn,
        take: (pipeline) => {
          signal.removeEventListener('abort', abort);
          this.#taken = Math.max(this.#taken, turn.round);
          pipeline.sequences++;
          resolve(pipeline);
        },
        refuse: leave,
      };
      signal.addEventListener('abort', abort, { once: true });
      const next = this.#waiters.findIndex((other) => goesBefore(waiter, other));
      this.#waiters.splice(next < 0 ? this.#waiters.length : next, 0, waiter);
      this.pump();
    });
  }

  /** All stages made room for it. */
  opened(ticket: number): void {
    if (this.#tight?.probe !== ticket) return;
    this.#tight.probe = null;
    this.pump();
  }

  /** A stage had no room for it. */
  refused(ticket: number, pipeline: Pipeline): void {
    if (pipeline !== this.#live()) return;
    if (this.#tight?.pipeline !== pipeline) this.#tight = { pipeline, isBlocked: true, probe: null };
    if (this.#tight.probe === ticket) this.#tight.probe = null;
    this.#tight.isBlocked = true;
    this.#cancelRetry();
    // Stages free what was closed after the micro-batch that they compute.
    this.#cancelRetry = this.#timers.after(CAPACITY_RETRY_MS, () => this.#unblock());
  }

  /** It has left its pipeline. @param hadRoom whether its stages held room for it, which is free now */
  released(ticket: number, hadRoom: boolean): void {
    if (this.#tight?.probe === ticket) this.#tight.probe = null;
    if (hadRoom) this.#unblock();
    else this.pump();
  }

  /** To be called when a pipeline went live. */
  pump(): void {
    const pipeline = this.#live();
    if (this.#tight !== null && this.#tight.pipeline !== pipeline) this.#tight = null;
    while (pipeline !== null && pipeline.sequences < MAX_SEQUENCES_PER_STAGE) {
      if (this.#tight !== null && (this.#tight.isBlocked || this.#tight.probe !== null)) return;
      const waiter = this.#waiters.shift();
      if (waiter === undefined) {
        this.#tight = null;
        return;
      }
      if (this.#tight !== null) this.#tight.probe = waiter.ticket;
      waiter.take(pipeline);
    }
  }

  /** Leaves no timer. */
  close(): void {
    this.#cancelRetry();
  }

  #unblock(): void {
    this.#cancelRetry();
    if (this.#tight !== null) this.#tight.isBlocked = false;
    this.pump();
  }
}
