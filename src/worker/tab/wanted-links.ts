import type { ShoalError } from '../../config/errors.ts';
import { LINK_LINGER_MS, LINK_RETRY_MAX_MS, LINK_RETRY_MIN_MS, MAX_LINKS } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';

/** The part of `PeerConnector` that is used. */
export interface Connector {
  connect(peer: string): void;
  drop(peer: string, attempt?: number): void;
  isOpen(peer: string): boolean;
}

export interface WantedLinksOptions {
  readonly connector: Connector;
  readonly timers: Timers;
  /** The worker's end of a link that is no longer wanted. */
  readonly dropLink: (peer: string) => void;
  /** A link that was wanted no more, and is open still, is wanted again. */
  readonly onKept: (peer: string) => void;
  /** A wanted link did not come, however often it was tried. It is tried again a while later. */
  readonly onDown: (peer: string, reason: ShoalError) => void;
}

/** One link that is wanted, or was a moment ago. */
interface Wish {
  isWanted: boolean;
  /** When it fell or failed, since a link last held for LINK_RETRY_MAX_MS. */
  failures: number;
  connectedAtMs: number;
  /** The last attempt that fell: both the worker and the connector tell of it. */
  fellAttempt: number;
  /** Of the next attempt, or of the end after lingering. */
  cancel: (() => void) | null;
}

/**
 * Keeps links as the server wants them. A link that falls is made again for as long as it is wanted, at once and then with a
 * back-off; one that is wanted no more stays a while, as it is often wanted again. Without a server nothing is begun, for nobody
 * would carry the signals; links that are open stay.
 */
export class WantedLinks {
  readonly #options: WantedLinksOptions;
  readonly #wishes = new Map<string, Wish>();
  #isServed = false;

  constructor(options: WantedLinksOptions) {
    this.#options = options;
  }

  /** Whether somebody carries signals. */
  get isServed(): boolean {
    return this.#isServed;
  }

  /** All that are wanted from now on. Signals are carried from here on, until `paused`. */
  want(peers: readonly string[]): void {
    const wasServed = this.#isServed;
    this.#isServed = true;
    const wanted = new Set(peers);
    for (const [peer, wish] of this.#wishes) {
      if (wish.isWanted && !wanted.has(peer)) this.#release(peer, wish);
    }
    const { connector } = this.#options;
    this.#makeRoom([...wanted].filter((peer) => !this.#wishes.has(peer)).length);
    for (const peer of wanted) {
      const wish = this.#wishes.get(peer);
      if (wish === undefined) {
        const made = { isWanted: true, failures: 0, connectedAtMs: 0, fellAttempt: 0, cancel: null };
        this.#wishes.set(peer, made);
        this.#connect(peer, made);
      } else if (!wish.isWanted || !wasServed) {
        wish.isWanted = true;
        wish.failures = 0;
        this.#clear(wish);
        // What was on its way while nobody carried signals leads nowhere.
        if (!connector.isOpen(peer)) connector.drop(peer);
        else this.#options.onKept(peer);
        this.#connect(peer, wish);
      }
    }
  }

  /** The server is away, or does not know yet which links it wants. */
  paused(): void {
    this.#isServed = false;
    for (const wish of this.#wishes.values()) if (wish.isWanted) this.#clear(wish);
  }

  /** The open link that `attempt` had made is gone: so says the worker, the connector, or both. */
  fell(peer: string, attempt: number): void {
    const { connector, timers } = this.#options;
    const wish = this.#wishes.get(peer);
    if (wish === undefined || attempt <= wish.fellAttempt) return;
    wish.fellAttempt = attempt;
    // A newer attempt on its way is left alone.
    connector.drop(peer, attempt);
    if (timers.now() - wish.connectedAtMs >= LINK_RETRY_MAX_MS) wish.failures = 0;
    this.#again(peer, wish);
  }

  /** No attempt came through. */
  failed(peer: string, reason: ShoalError): void {
    const wish = this.#wishes.get(peer);
    if (!wish?.isWanted) return;
    this.#options.onDown(peer, reason);
    wish.failures = Math.max(1, wish.failures);
    this.#again(peer, wish);
  }

  close(): void {
    for (const wish of this.#wishes.values()) this.#clear(wish);
    this.#wishes.clear();
  }

  #connect(peer: string, wish: Wish): void {
    wish.connectedAtMs = this.#options.timers.now();
    this.#options.connector.connect(peer);
  }

  #again(peer: string, wish: Wish): void {
    if (!wish.isWanted || !this.#isServed || wish.cancel !== null) return;
    const delayMs =
      wish.failures === 0 ? 0 : Math.min(LINK_RETRY_MAX_MS, LINK_RETRY_MIN_MS * 2 ** (wish.failures - 1));
    wish.failures += 1;
    wish.cancel = this.#options.timers.after(delayMs, () => {
      wish.cancel = null;
      this.#connect(peer, wish);
    });
  }

  #release(peer: string, wish: Wish): void {
    wish.isWanted = false;
    this.#clear(wish);
    wish.cancel = this.#options.timers.after(LINK_LINGER_MS, () => this.#end(peer, wish));
  }

  /** Those that only linger go before their time where a tab would have too many. */
  #makeRoom(more: number): void {
    for (const [peer, wish] of this.#wishes) {
      if (this.#wishes.size + more <= MAX_LINKS) return;
      if (!wish.isWanted) this.#end(peer, wish);
    }
  }

  #end(peer: string, wish: Wish): void {
    this.#clear(wish);
    this.#wishes.delete(peer);
    this.#options.connector.drop(peer);
    this.#options.dropLink(peer);
  }

  #clear(wish: Wish): void {
    wish.cancel?.();
    wish.cancel = null;
  }
}
