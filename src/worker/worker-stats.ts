import { STATS_INTERVAL_MS } from '../config/limits.ts';
import type { PeerMessage } from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import type { Shards } from './shards.ts';
import type { Stage } from './stage.ts';
import type { WorkerEvent } from './worker-api.ts';
import type { WorkerLinks } from './worker-links.ts';

export interface WorkerStatsOptions {
  readonly timers: Timers;
  readonly shards: Shards;
  readonly links: WorkerLinks;
  readonly emit: (event: WorkerEvent) => void;
}

/** Once a second while shards are held: what the page shows (`usage`) and what the server routes by (`stats`). */
export class WorkerStats {
  readonly #options: WorkerStatsOptions;
  #cancel: (() => void) | null = null;
  #last = { tokens: 0, atMs: 0 };

  constructor(options: WorkerStatsOptions) {
    this.#options = options;
  }

  /** Shards came or went. */
  update(): void {
    if (this.#options.shards.size > 0) {
      this.#start();
      return;
    }
    if (this.#cancel === null) return;
    this.#cancel();
    this.#cancel = null;
    this.#report();
  }

  #start(): void {
    if (this.#cancel !== null) return;
    const { timers, shards } = this.#options;
    this.#last = { tokens: shards.decodeRows, atMs: timers.now() };
    const tick = (): void => {
      this.#cancel = timers.after(STATS_INTERVAL_MS, tick);
      this.#report();
    };
    this.#cancel = timers.after(STATS_INTERVAL_MS, tick);
  }

  #report(): void {
    const { timers, shards, links, emit } = this.#options;
    const atMs = timers.now();
    const tokens = shards.decodeRows;
    const elapsedMs = atMs - this.#last.atMs;
    const tokensPerSecond = elapsedMs > 0 ? ((tokens - this.#last.tokens) * 1_000) / elapsedMs : 0;
    this.#last = { tokens, atMs };
    emit({ type: 'usage', tokensPerSecond, tokens, gpuBytes: shards.gpuBytes });
    const { stages } = shards;
    const newest = stages.at(-1);
    if (newest === undefined) return;
    const roundTrips = links.roundTrips;
    for (const stage of stages) observeRoundTrips(stage, roundTrips);
    const busiest = stages.reduce((a, b) => (b.sequences >= a.sequences ? b : a), newest);
    const summary = busiest.hop.summary();
    const message: PeerMessage = {
      type: 'stats',
      tokensPerSecond,
      sequences: stages.reduce((sum, stage) => sum + stage.sequences, 0),
      bytesSent: links.bytes.sent,
      bytesReceived: links.bytes.received,
      hop: summary.timings,
      prefillRowsPerSecond: summary.prefillRowsPerSecond,
      freePositions: shards.freePositions,
      links: roundTrips,
    };
    emit({ type: 'send', message });
  }
}

/** The wire's part of a hop is the round trip to a neighbour. */
function observeRoundTrips(stage: Stage, roundTrips: readonly { peer: string; rttMs: number }[]): void {
  const { neighbours } = stage;
  for (const { peer, rttMs } of roundTrips) if (neighbours.has(peer)) stage.hop.wireRtt(rttMs);
}
