import { ShoalError } from '../../../config/errors.ts';
import { LOAD_STALL_MS } from '../../../config/limits.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { WantedLinks } from '../holdings/wanted-links.ts';
import type { Peer } from '../peers/peer.ts';
import type { Target } from './target.ts';

export interface ConnectWatchOptions {
  readonly links: WantedLinks;
  readonly timers: Timers;
  /** All layers are held, and this link does not come. */
  readonly onUnlinked: (a: Peer, b: Peer, error: ShoalError) => void;
}

/** Bounds the wait for the links of what is loaded: nobody may ever say that one does not come. */
export class ConnectWatch {
  readonly #options: ConnectWatchOptions;
  #cancel: (() => void) | null = null;

  constructor(options: ConnectWatchOptions) {
    this.#options = options;
  }

  /** From the first call on, until `stop`. */
  watch({ holdings }: Target): void {
    this.#cancel ??= this.#options.timers.after(LOAD_STALL_MS, () => {
      this.#cancel = null;
      for (const [index, { peer }] of holdings.entries()) {
        const next = holdings[(index + 1) % holdings.length]!.peer;
        if (this.#options.links.state(peer, next) === 'up') continue;
        const error = new ShoalError('LINK_FAILED', `no link to ${next.name} for ${LOAD_STALL_MS / 1_000} s`);
        this.#options.onUnlinked(peer, next, error);
        return;
      }
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
