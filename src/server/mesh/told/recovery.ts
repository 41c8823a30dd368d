import type { Loss, Status } from '../../../mesh/protocol/status.ts';

/** What is known when workers were lost. */
export interface RecoveryView {
  /** Of the route that served last, since then. */
  readonly losses: { readonly id: number; readonly lost: readonly Loss[] };
  /** Names of the workers that serve; null: nothing does. */
  readonly live: readonly string[] | null;
  /** Names of those that layers load on; null: none do. */
  readonly loading: readonly string[] | null;
  /** A placement is due. */
  readonly isPlacing: boolean;
  /** Answers that have lost their route and had no token since. */
  readonly resuming: number;
  /** Names of the workers that may be given layers. */
  readonly left: readonly string[];
}

/** Null once the next route is live and every answer goes on, or where nothing comes and nobody waits for it. */
export function recoveryOf(view: RecoveryView): Status['recovery'] {
  const { losses, live, loading, isPlacing, resuming, left } = view;
  if (losses.lost.length === 0) return null;
  const lost = [...losses.lost];
  if (live !== null) {
    return resuming === 0 ? null : { id: losses.id, lost, step: 'resuming', with: [...live] };
  }
  if (loading !== null) return { id: losses.id, lost, step: 'loading', with: [...loading] };
  if (isPlacing && left.length > 0) return { id: losses.id, lost, step: 'placing', with: [...left] };
  return resuming === 0 ? null : { id: losses.id, lost, step: 'waiting', with: [...left] };
}
