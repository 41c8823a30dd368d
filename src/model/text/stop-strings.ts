/** What `push` found. `text` may be shown; once `stopped`, it ends right before the stop string and nothing more follows. */
export interface StopResult {
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Finds stop strings in text that comes in pieces. What may be the start of one is held back, and no more than that: the longest
 * suffix of the text so far that begins a stop string.
 *
 * Of several stop strings the one that begins first wins; text after it is dropped.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  /** Empty strings stop nothing. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  push(text: string): StopResult {
    if (this.#stopped) return { text: '', stopped: true };
    const seen = this.#held + text;
    const found = this.#firstStop(seen);
    // An occurrence that is whole may still lose to a longer stop string that began before it and is not whole yet.
    const pending = this.#pendingStart(seen);
    if (found !== undefined && found <= pending) {
      this.#held = '';
      this.#stopped = true;
      return { text: seen.slice(0, found), stopped: true };
    }
    this.#held = seen.slice(pending);
    return { text: seen.slice(0, pending), stopped: false };
  }

  /** The text ended: what was held back is text, up to a stop string that was whole all along. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    if (this.#stopped) return '';
    const found = this.#firstStop(held);
    this.#stopped = found !== undefined;
    return held.slice(0, found);
  }

  #firstStop(text: string): number | undefined {
    let first: number | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first === undefined || at < first)) first = at;
    }
    return first;
  }

  /** Where the longest suffix starts that is a beginning, and not the whole, of a stop string; the end when there is none. */
  #pendingStart(text: string): number {
    const longest = this.#stops.reduce((length, stop) => Math.max(length, stop.length), 0);
    for (let start = Math.max(0, text.length - longest + 1); start < text.length; start++) {
      const length = text.length - start;
      if (this.#stops.some((stop) => stop.length > length && stop.startsWith(text.slice(start))))
        return start;
    }
    return text.length;
  }
}
