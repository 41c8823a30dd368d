import type { Timers } from '../../mesh/timers.ts';

/** A wish to stop: what runs moves to others first, for as long as that may take. */
export class Drain {
  readonly reason: string;
  /** Resolves when nothing runs here any more, or nobody waits for it. */
  readonly ended: Promise<void>;
  #end: () => void = () => {};
  readonly #cancel: () => void;

  constructor(reason: string, withinMs: number, timers: Timers) {
    this.reason = reason.slice(0, 200);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#cancel = timers.after(withinMs, () => this.end());
  }

  end(): void {
    this.#cancel();
    this.#end();
  }
}
