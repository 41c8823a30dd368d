import type { Timers } from '../mesh/timers.ts';

/**
 * One simulated process (a tab, the server): its timers and what arrives at it. A frozen one does nothing until it thaws, and then
 * does what has come due, in order; a killed one never does anything again.
 */
export class SimProcess implements Timers {
  readonly name: string;
  readonly #timers: Timers;
  readonly #cancels = new Set<() => void>();
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #held: (() => void)[] = [];

  constructor(name: string, timers: Timers) {
    this.name = name;
    this.#timers = timers;
  }

  get state(): 'running' | 'frozen' | 'dead' {
    return this.#state;
  }

  /** Timers that are set and have not run. */
  get pending(): number {
    return this.#cancels.size;
  }

  /** Time goes on while a process is frozen. */
  now(): number {
    return this.#timers.now();
  }

  after(delayMs: number, run: () => void): () => void {
    if (this.#state === 'dead') return () => {};
    let isCancelled = false;
    const cancelTimer = this.#timers.after(delayMs, () =>
      this.arrive(() => {
        this.#cancels.delete(cancel);
        // A frozen process cancels nothing, but what it does first when it thaws may.
        if (!isCancelled) run();
      }),
    );
    const cancel = () => {
      isCancelled = true;
      this.#cancels.delete(cancel);
      cancelTimer();
    };
    this.#cancels.add(cancel);
    return cancel;
  }

  /** Runs `run` now, when the process thaws, or never. Calls run in the order in which they came. */
  arrive(run: () => void): void {
    if (this.#state === 'running' && this.#held.length === 0) run();
    else if (this.#state !== 'dead') this.#held.push(run);
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    if (this.#held.length > 0) this.#timers.after(0, () => this.#catchUp());
  }

  kill(): void {
    this.#state = 'dead';
    this.#held = [];
    for (const cancel of [...this.#cancels]) cancel();
  }

  /** Each in an event of its own, as if it came now. */
  #catchUp(): void {
    if (this.#state !== 'running') return;
    const run = this.#held[0];
    run?.();
    this.#held.shift();
    if (this.#held.length > 0) this.#timers.after(0, () => this.#catchUp());
  }
}
