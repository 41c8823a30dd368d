import type { Holding } from './holding.ts';
import type { Peer } from './peer.ts';

export interface SearchView {
  /** Those that may be on the route. */
  readonly holdings: readonly Holding[];
  /** Of the model. */
  readonly layers: number;
  /** Seconds that a sequence's token spends there; any scale does. */
  cost(holding: Holding): number;
  /** Seconds from one to the other; null: there is no way. */
  hop(from: Peer, to: Peer): number | null;
}

interface Label {
  readonly cost: number;
  readonly path: readonly Holding[];
}

/**
 * The cheapest chain of held ranges over all layers and back to its start, no worker twice. Dynamic programming from each
 * first stage; a chain that is cheapest up to a range but leads back to one of its own workers is given up, so in rare cases
 * another one is found, or none.
 */
export function searchRoute(view: SearchView): readonly Holding[] | null {
  const byStart = new Map<number, Holding[]>();
  for (const holding of view.holdings) {
    const { start } = holding.layers;
    byStart.set(start, [...(byStart.get(start) ?? []), holding]);
  }
  const starts = [...byStart.keys()].sort((a, b) => a - b);
  let best: Label | null = null;
  for (const first of byStart.get(0) ?? []) {
    const labels = new Map<Holding, Label>([[first, { cost: view.cost(first), path: [first] }]]);
    for (const start of starts) {
      for (const holding of byStart.get(start)!) {
        const label = labels.get(holding);
        if (label === undefined) continue;
        const { end } = holding.layers;
        if (end === view.layers) {
          best = cheaper(best, closed(view, label));
          continue;
        }
        for (const next of byStart.get(end) ?? []) {
          const longer = extended(view, label, next);
          const known = labels.get(next);
          if (longer !== null && (known === undefined || longer.cost < known.cost)) labels.set(next, longer);
        }
      }
    }
  }
  return best?.path ?? null;
}

function extended(view: SearchView, { cost, path }: Label, next: Holding): Label | null {
  if (path.some(({ peer }) => peer === next.peer)) return null;
  const hop = view.hop(path.at(-1)!.peer, next.peer);
  return hop === null ? null : { cost: cost + hop + view.cost(next), path: [...path, next] };
}

/** With the way of tokens, from the last to the first. */
function closed(view: SearchView, { cost, path }: Label): Label | null {
  const [first, last] = [path[0]!, path.at(-1)!];
  const hop = first === last ? 0 : view.hop(last.peer, first.peer);
  return hop === null ? null : { cost: cost + hop, path };
}

function cheaper(a: Label | null, b: Label | null): Label | null {
  if (a === null || b === null) return a ?? b;
  return b.cost < a.cost ? b : a;
}
