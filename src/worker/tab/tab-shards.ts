import type { HeldShard, LoadPhase, PeerMessage, ServerMessage } from '../../mesh/protocol/control.ts';
import type { Shard } from '../../model/shard.ts';

/** A shard that this tab holds or loads. */
export interface TabShard {
  readonly shard: number;
  readonly model: string;
  readonly layers: Shard;
  readonly phase: LoadPhase | 'held';
  /** Of the shard, while it loads. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Follows what the server asks and what the worker answers, for whoever shows it. */
export class TabShards {
  readonly #shards = new Map<number, TabShard>();
  /** From the network, not from the cache. */
  downloadedBytes = 0;

  /** In the order in which they were asked for. */
  get all(): readonly TabShard[] {
    return [...this.#shards.values()];
  }

  /** @returns whether anything changed */
  asked(message: ServerMessage): boolean {
    if (message.type === 'drop') return this.#shards.delete(message.shard);
    if (message.type !== 'hold' || this.#shards.has(message.shard)) return false;
    const { shard, model, layers } = message;
    this.#shards.set(shard, { shard, model, layers, phase: 'download', bytesDone: 0, bytesTotal: 0 });
    return true;
  }

  /** @returns whether anything changed */
  told(message: PeerMessage): boolean {
    switch (message.type) {
      case 'load-progress': {
        const { shard, phase, bytesDone, bytesTotal } = message;
        return this.#change(shard, { phase, bytesDone, bytesTotal });
      }
      case 'held':
        this.downloadedBytes += message.downloadedBytes;
        return this.#change(message.shard, { phase: 'held' });
      case 'load-failed':
        return this.#shards.delete(message.shard);
      default:
        return false;
    }
  }

  /** What the worker reports as held is held, whatever was heard of it. @returns whether anything changed */
  reported(held: readonly HeldShard[]): boolean {
    let isChanged = false;
    for (const { shard, model, layers } of held) {
      if (this.#shards.get(shard)?.phase === 'held') continue;
      this.#shards.set(shard, { shard, model, layers, phase: 'held', bytesDone: 0, bytesTotal: 0 });
      isChanged = true;
    }
    return isChanged;
  }

  clear(): void {
    this.#shards.clear();
  }

  #change(shard: number, change: Partial<TabShard>): boolean {
    const before = this.#shards.get(shard);
    if (before === undefined) return false;
    this.#shards.set(shard, { ...before, ...change });
    return true;
  }
}
