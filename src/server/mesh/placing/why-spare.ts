import type { SpareReason as Reason } from '../../../mesh/protocol/status.ts';
import type { DoesNotFit } from '../../../schedule/layout/does-not-fit.ts';
import type { LayoutSpareReason } from '../../../schedule/layout/spared.ts';
import type { Peer } from '../peers/peer.ts';
import type { Plan } from './planner.ts';

type Judgement = LayoutSpareReason | { readonly why: 'no-gain' | 'answers-first' };

/** What the last placement made of the workers that hold nothing of it. */
export class Judgements {
  readonly #byWorker = new Map<string, Judgement>();

  /** @param whyNotIn holds for the workers that would have layers if the placement were loaded */
  note(plan: Plan | DoesNotFit, whyNotIn: 'no-gain' | 'answers-first'): void {
    this.clear();
    if (plan.kind !== 'placed') return;
    for (const worker of plan.ranges.keys()) this.#byWorker.set(worker, { why: whyNotIn });
    for (const { worker, reason } of plan.spares) this.#byWorker.set(worker, reason);
  }

  of(worker: string): Judgement | null {
    return this.#byWorker.get(worker) ?? null;
  }

  /** It offers another device, or none. */
  forget(worker: string): void {
    this.#byWorker.delete(worker);
  }

  clear(): void {
    this.#byWorker.clear();
  }
}

/** How the pipelines stand, for one of the workers without layers. */
export interface SpareView {
  readonly nowMs: number;
  /** The first placement waits for workers. */
  readonly expecting: { readonly joined: number; readonly expected: number } | null;
  /** A placement is due. */
  readonly isPlacing: boolean;
  /** What the last placement that looked at the worker made of it. */
  readonly judged: Judgement | null;
  readonly hasLive: boolean;
  readonly hasLoading: boolean;
  /** By which the workers together fall short; 0 where another thing than the sum is missing. */
  readonly missingBytes: number;
}

/** Why a worker that holds no layers holds none: the first reason that keeps it from them. */
export function whySpare(peer: Pick<Peer, 'excludedUntil' | 'capability'>, view: SpareView): Reason {
  const { nowMs, expecting, judged, missingBytes } = view;
  if (peer.excludedUntil > nowMs) {
    return { why: 'left-out', seconds: Math.ceil((peer.excludedUntil - nowMs) / 1_000) };
  }
  if (expecting !== null) return { why: 'expecting', ...expecting };
  if (judged !== null) {
    switch (judged.why) {
      case 'small-memory':
        return { ...judged, lentBytes: peer.capability?.memoryBudgetBytes ?? 0 };
      case 'small-buffers': {
        const { maxBufferBytes = 0, maxStorageBindingBytes = 0 } = peer.capability ?? {};
        return { ...judged, lentBytes: Math.min(maxBufferBytes, maxStorageBindingBytes) };
      }
      default:
        return judged;
    }
  }
  if (view.isPlacing) return { why: 'placing' };
  if (view.hasLoading || view.hasLive) return { why: 'later' };
  return { why: 'missing', missingBytes: missingBytes > 0 ? missingBytes : null };
}
