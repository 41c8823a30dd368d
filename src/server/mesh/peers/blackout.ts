import { ALL_RETURN_GRACE_MS } from '../../../config/limits.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { Peer } from './peer.ts';
import type { Registry } from './registry.ts';

export interface BlackoutOptions {
  readonly registry: Registry;
  readonly timers: Timers;
  /** Whether it is known that the peer, which is away, is gone. */
  readonly isLost: (peer: Peer) => boolean;
  readonly onOver: () => void;
}

/**
 * All workers' sockets have closed at once: that is the server's network, or a proxy that was started again, rather than all of them. That
 * nobody is there to vouch for a worker says nothing meanwhile, until those that are back were there for a while.
 */
export class Blackout {
  readonly #options: BlackoutOptions;
  #isOn = false;
  #cancel: (() => void) | null = null;

  constructor(options: BlackoutOptions) {
    this.#options = options;
    options.registry.watch({ away: () => this.#look(), gone: () => this.#look() });
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** A worker is back. */
  joined(): void {
    if (!this.#isOn) return;
    this.#cancel ??= this.#options.timers.after(ALL_RETURN_GRACE_MS, () => {
      this.#cancel = null;
      // All are away again, and it begins anew.
      if (this.#options.registry.workers().length === 0) return;
      this.#isOn = false;
      this.#options.onOver();
    });
  }

  #look(): void {
    const { registry, isLost } = this.#options;
    if (registry.workers().length > 0) return;
    const missed = registry.away().filter((peer) => !isLost(peer)).length;
    // One alone is as likely to have gone itself.
    if (missed > 1) this.#isOn = true;
    if (missed === 0) this.#isOn = false;
  }
}
