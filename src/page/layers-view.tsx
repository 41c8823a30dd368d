import {
  coverage,
  type HeldLayers,
  heldLayers,
  replicas,
  replicaText,
} from '../mesh/protocol/layers-held.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { layersText } from '../model/shard.ts';
import { ownPeer } from './own-peer.ts';
import { You } from './you.tsx';

/** More rows than that say no more to anyone; how often each layer is held is told for all. */
const SHOWN_ROWS = 12;

const STATE_TEXT: Record<HeldLayers['state'], string> = {
  held: '',
  loading: 'loads',
  retiring: 'going',
  away: 'away',
};

/** Layers × workers, where the pipeline's drawing does not say it all: replicas, and what loads beside it. */
export function LayersView({ status }: { readonly status: Status }) {
  const layers = status.model?.layers ?? 0;
  const held = heldLayers(status);
  const inPipeline = new Set(status.pipeline?.stages.map(({ peer }) => peer));
  if (layers === 0 || held.every(({ peer }) => inPipeline.has(peer))) return null;
  const own = (row: HeldLayers) => row.peer === ownPeer.value;
  const shown = held.toSorted((a, b) => Number(own(b)) - Number(own(a))).slice(0, SHOWN_ROWS);
  const holders = Object.entries(status.workerStates ?? {}).reduce(
    (sum, [state, count]) => sum + (state === 'joined' ? 0 : count),
    0,
  );
  const more = Math.max(held.length, holders) - shown.length;
  return (
    <div class="layers-held">
      <p class="small muted">{replicaText(coverage(held, layers, status.replicas).map(replicas))}</p>
      <ul class="small">
        {held
          .filter((row) => shown.includes(row))
          .map((row) => (
            <li key={`${row.peer} ${row.layers}`}>
              <span>
                {row.name} {own(row) && <You />}
              </span>
              <span class="muted">{rowText(row)}</span>
              <span class={`bar ${row.state}`} aria-hidden="true">
                <span style={barStyle(row, layers)} />
              </span>
            </li>
          ))}
      </ul>
      {more > 0 && <p class="small muted">and {more} more</p>}
    </div>
  );
}

function rowText({ layers: [start, end], state, sequences }: HeldLayers): string {
  const answers = sequences > 0 && `${sequences} answer${sequences === 1 ? '' : 's'}`;
  return [layersText(start, end), STATE_TEXT[state], answers].filter(Boolean).join(' · ');
}

const barStyle = ({ layers: [start, end] }: HeldLayers, layers: number) => ({
  marginInlineStart: `${(100 * start) / layers}%`,
  inlineSize: `${(100 * (end - start)) / layers}%`,
});
