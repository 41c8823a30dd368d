/** As much of an AbortSignal as is listened to. */
export interface AbortSource {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * The end of something that much hangs on, such as a server's closing: as many listeners as there are requests. An AbortSignal
 * takes the eleventh for a leak and warns of it (Node.js: MaxListenersExceededWarning).
 */
export class Ending implements AbortSource {
  readonly #listeners = new Set<() => void>();
  #ended: { readonly reason: unknown } | null = null;

  get aborted(): boolean {
    return this.#ended !== null;
  }

  get reason(): unknown {
    return this.#ended?.reason;
  }

  /** What listens now; for tests. */
  get listeners(): number {
    return this.#listeners.size;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** Once; the first reason stays. */
  abort(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    if (this.#ended !== null) return;
    this.#ended = { reason };
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
