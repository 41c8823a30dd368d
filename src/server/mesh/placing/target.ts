import { megabytesOf } from '../../../config/bytes-text.ts';
import type { StageInfo } from '../../../mesh/protocol/control.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Peer } from '../peers/peer.ts';

/** What placement wants served: shards that follow each other over all layers, loaded or on their way. */
export class Target {
  readonly holdings: readonly Holding[];
  /** Those that were not held when it was set. */
  readonly #loads: readonly Holding[];
  /** It has served. */
  isEstablished: boolean;
  /** Somebody of it is lost. */
  isBroken = false;

  constructor(holdings: readonly Holding[], isEstablished: boolean) {
    this.holdings = holdings;
    this.#loads = holdings.filter(({ isHeld }) => !isHeld);
    this.isEstablished = isEstablished;
  }

  has(peer: Peer): boolean {
    return this.holdings.some((holding) => holding.peer === peer);
  }

  infos(): StageInfo[] {
    return this.holdings.map(({ peer, layers }) => ({ peer: peer.id, name: peer.name, shard: layers }));
  }

  get names(): string[] {
    return this.holdings.map(({ peer }) => peer.name);
  }

  /** What has been loaded of what the workers have reported so far. */
  loaded(): { readonly ready: number; readonly bytesDone: number; readonly bytesTotal: number } {
    return {
      ready: this.holdings.filter(({ isHeld }) => isHeld).length,
      bytesDone: this.#loads.reduce((sum, { load }) => sum + load.bytesDone, 0),
      bytesTotal: this.#loads.reduce((sum, { load }) => sum + load.bytesTotal, 0),
    };
  }

  /** For people: `2 of 3 workers ready, 10.1 of 15.0 MB`. */
  loadText(): string {
    const { ready, bytesDone, bytesTotal } = this.loaded();
    const workers = `${ready} of ${this.holdings.length} workers ready`;
    // Nobody has said yet how much there is to load.
    return bytesTotal === 0 ? workers : `${workers}, ${megabytesOf(bytesDone, bytesTotal)}`;
  }

  /** For people: `tab 1 [0, 3), tab 2 [3, 8)`. */
  toString(): string {
    return this.holdings
      .map(({ peer, layers }) => `${peer.name} [${layers.start}, ${layers.end})`)
      .join(', ');
  }
}
