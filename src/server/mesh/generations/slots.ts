import { ShoalError } from '../../../config/errors.ts';
import { CAPACITY_RETRY_MS } from '../../../config/limits.ts';
import type { Timers } from '../../../mesh/timers.ts';
import { givesWay, goesBefore, roundFor, type Turn } from '../../../schedule/turns.ts';
import type { MeshRoute, Routes, RouteWish } from '../routes/mesh-route.ts';

interface Waiter extends Turn {
  readonly wish: RouteWish;
  take(route: MeshRoute): void;
  refuse(error: ShoalError): void;
}

/** What is known once a stage has refused a sequence for lack of KV cache. */
interface Tight {
  /** Nobody is let in until a sequence has left or CAPACITY_RETRY_MS have passed. */
  isBlocked: boolean;
  /** The one who was let in and is not open yet: the others wait for the outcome, so that nobody overtakes. */
  probe: number | null;
}

/**
 * Who may run: so many sequences as the mesh has routes with room for. The others wait, resumed ones first, then one after the other
 * by client; who is refused by a stage keeps its place.
 */
export class Slots {
  readonly #routes: Pick<Routes, 'choose' | 'enter'>;
  readonly #timers: Timers;
  /** In the order of their turns. */
  readonly #waiters: Waiter[] = [];
  #tight: Tight | null = null;
  /** The highest round that was let in. */
  #taken = 0;
  #cancelRetry: () => void = () => {};
  #cancelLater: () => void = () => {};

  constructor(routes: Pick<Routes, 'choose' | 'enter'>, timers: Timers) {
    this.#routes = routes;
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
   * Resolves with a route that the sequence has entered.
   * @throws the signal's reason, ABORTED when it is no ShoalError; OVERLOADED where it had to give way
   */
  async acquire(turn: Turn, wish: RouteWish, signal: AbortSignal): Promise<MeshRoute> {
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
        wish,
        take: (route) => {
          signal.removeEventListener('abort', abort);
          this.#taken = Math.max(this.#taken, turn.round);
          resolve(route);
        },
        refuse: leave,
      };
      signal.addEventListener('abort', abort, { once: true });
      const next = this.#waiters.findIndex((other) => goesBefore(waiter, other));
      this.#waiters.splice(next < 0 ? this.#waiters.length : next, 0, waiter);
      this.pump();
    });
  }

  /** Whether it would be let in at once, were there a route with room for it. */
  isNext(turn: Turn): boolean {
    const [first] = this.#waiters;
    return this.#tight === null && (first === undefined || goesBefore(turn, first));
  }

  /** All stages made room for it. */
  opened(ticket: number): void {
    if (this.#tight?.probe !== ticket) return;
    this.#tight.probe = null;
    this.pump();
  }

  /** A stage had no room for it. */
  refused(ticket: number): void {
    this.#tight ??= { isBlocked: true, probe: null };
    if (this.#tight.probe === ticket) this.#tight.probe = null;
    this.#tight.isBlocked = true;
    this.#cancelRetry();
    // Stages free what was closed after the micro-batch that they compute.
    this.#cancelRetry = this.#timers.after(CAPACITY_RETRY_MS, () => this.#unblock());
  }

  /** A stage is let be for a while: routes are looked for again when that is over, and nobody waits for it meanwhile. */
  later(): void {
    this.#cancelLater();
    this.#cancelLater = this.#timers.after(CAPACITY_RETRY_MS, () => this.pump());
  }

  /** It has left its route. @param hadRoom whether its stages held room for it, which is free now */
  released(ticket: number, hadRoom: boolean): void {
    if (this.#tight?.probe === ticket) this.#tight.probe = null;
    if (hadRoom) this.#unblock();
    else this.pump();
  }

  /** The mesh has changed: what was tight need not be. */
  changed(): void {
    this.#unblock();
  }

  /** Leaves no timer. */
  close(): void {
    this.#cancelRetry();
    this.#cancelLater();
  }

  pump(): void {
    for (;;) {
      if (this.#tight !== null && (this.#tight.isBlocked || this.#tight.probe !== null)) return;
      const [waiter] = this.#waiters;
      if (waiter === undefined) {
        this.#tight = null;
        return;
      }
      const route = this.#routes.choose(waiter.wish);
      if (route === null) return;
      this.#waiters.shift();
      this.#routes.enter(route);
      if (this.#tight !== null) this.#tight.probe = waiter.ticket;
      waiter.take(route);
    }
  }

  #unblock(): void {
    this.#cancelRetry();
    if (this.#tight !== null) this.#tight.isBlocked = false;
    this.pump();
  }
}
