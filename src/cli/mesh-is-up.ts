import { setTimeout as delay } from 'node:timers/promises';
import { ShoalError } from '../config/errors.ts';
import { UP_DEADLINE_MS } from '../config/limits.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { doesNotFit } from './browser/tab-failures.ts';
import type { TabState } from './browser/tab-state.ts';

const STATUS_POLL_MS = 150;

/**
 * Whether the server's own engine is what is missing. `ready` alone does not tell: it says that something answers, which
 * may be a backend that someone lends.
 */
export const lacksMesh = ({ provider, pipeline }: Pick<Status, 'provider' | 'pipeline'>): boolean =>
  provider === 'fxn' && pipeline === null;

/** Whether these tabs hold layers that serve, or are spares because others, who joined by themselves, hold them all. */
export function meshIsUp({ pipeline }: Pick<Status, 'pipeline'>, tabs: readonly TabState[]): boolean {
  if (pipeline === null) return false;
  const serving = new Set(pipeline.stages.map(({ peer }) => peer));
  return (
    tabs.some(({ peer }) => peer !== undefined && serving.has(peer)) ||
    tabs.every(({ phase }) => phase === 'waiting' || phase === 'serving')
  );
}

export interface MeshToWaitFor {
  readonly tabs: number;
  status(): Promise<Status>;
  /** What each tab said last; those that have said nothing are missing. */
  states(): readonly TabState[];
  /** Why there is nothing to wait for. */
  failure(): ShoalError | null;
  /** Placement's sentence, where the workers that are there cannot hold the model. */
  shortage(): { readonly workers: number; readonly detail: string } | null;
}

/** @throws what each tab failed for, once it stays; SHARD_TOO_LARGE; DEADLINE_EXCEEDED */
export async function untilMeshIsUp(
  mesh: MeshToWaitFor,
  signal: AbortSignal,
  deadlineMs = UP_DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  let status: Status;
  do {
    signal.throwIfAborted();
    status = await mesh.status();
    const states = mesh.states();
    if (states.length === mesh.tabs && meshIsUp(status, states)) return;
    const reason = mesh.failure();
    if (reason !== null) throw reason;
    const shortage = mesh.shortage();
    if (shortage !== null && shortage.workers >= mesh.tabs) throw doesNotFit(mesh.tabs, shortage.detail);
    await delay(STATUS_POLL_MS, undefined, { signal });
  } while (performance.now() < deadline);
  throw new ShoalError(
    'DEADLINE_EXCEEDED',
    `no route serves after ${deadlineMs / 60_000} minutes: ${status.detail}; "shoal doctor" checks browser and adapter`,
  );
}
