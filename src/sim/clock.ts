import { ShoalError } from '../config/errors.ts';
import type { Timers } from '../mesh/timers.ts';

interface Event {
  readonly atMs: number;
  /** Order of being set: events of the same moment run in it. */
  readonly number: number;
  /** Null once cancelled. */
  run: (() => void) | null;
}

/** Macrotasks that are queued ahead, so that the event loop polls the system once in so many events. */
const TURNS_AHEAD = 64;

/**
 * Time that passes only in `run`, from event to event, in an order that follows from the program alone.
 *
 * Each event runs in a macrotask of its own. Node empties the queue of microtasks between two callbacks of `setImmediate`, so every
 * promise that an event settles has had its say, however deep the chain, before the next event begins. What waits for anything but
 * this clock (a real timer, a socket, a thread pool) has no place in a simulation: it would come at another event each time.
 */
export class VirtualClock implements Timers {
  #nowMs = 0;
  #number = 0;
  #cancelled = 0;
  #ran = 0;
  #running = false;
  /** A binary heap, earliest first. */
  #heap: Event[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#number++, run };
    this.#push(event);
    return () => {
      if (event.run === null) return;
      event.run = null;
      this.#cancelled += 1;
      if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#sweep();
    };
  }

  /** Events that are set and have neither run nor been cancelled. */
  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Events that have run since the start. */
  get ran(): number {
    return this.#ran;
  }

  /**
   * Runs events for `ms`, or until `isDone` says so after one of them. Time then stands at the end, or at that event.
   * @throws what an event throws, which ends the run
   */
  run(ms: number, isDone: () => boolean = () => false): Promise<void> {
    if (this.#running)
      throw new ShoalError('INTERNAL', 'the clock runs already; one caller drives a simulation');
    this.#running = true;
    const untilMs = this.#nowMs + ms;
    return new Promise((resolve, reject) => {
      let ended = false;
      let ahead = 0;
      const end = (settle: () => void) => {
        ended = true;
        this.#running = false;
        settle();
      };
      const turn = () => {
        ahead -= 1;
        if (ended) return;
        try {
          // Asked in a turn of its own: the event before has settled whatever it could.
          if (isDone()) return end(resolve);
          const event = this.#next(untilMs);
          if (event === null) {
            this.#nowMs = untilMs;
            return end(resolve);
          }
          this.#nowMs = event.atMs;
          this.#ran += 1;
          const { run } = event;
          event.run = null;
          run?.();
        } catch (thrown) {
          return end(() => reject(thrown));
        }
        if (ahead === 0) queueTurns();
      };
      const queueTurns = () => {
        ahead = TURNS_AHEAD;
        for (let i = 0; i < TURNS_AHEAD; i++) setImmediate(turn);
      };
      queueTurns();
    });
  }

  /**
   * Runs events until `promise` settles.
   * @throws DEADLINE_EXCEEDED when it does not within `ms`; what it rejects with
   */
  async until<T>(promise: Promise<T>, ms: number): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.run(ms, () => isSettled);
    if (!isSettled) throw new ShoalError('DEADLINE_EXCEEDED', `nothing came of it within ${ms} simulated ms`);
    return promise;
  }

  #next(untilMs: number): Event | null {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.run !== null && first.atMs > untilMs) return null;
      this.#pop();
      if (first.run !== null) return first;
      this.#cancelled -= 1;
    }
    return null;
  }

  #sweep(): void {
    const kept = this.#heap.filter(({ run }) => run !== null);
    kept.sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#heap = kept;
    this.#cancelled = 0;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!;
      if (!isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
}
