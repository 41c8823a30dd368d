import { movedText } from '../../mesh/protocol/loss-text.ts';
import type { Status } from '../../mesh/protocol/status.ts';
import { layersText } from '../../model/shard.ts';
import { status } from '../status.ts';
import type { Lender } from './chosen-model.ts';
import type { Turn } from './conversation.ts';

type Nodes = Status['nodes'];

/** Which model answered, on whose machines, and how fast. */
export function ServedBy({ turn }: { turn: Turn }) {
  const parts = servedParts(turn, status.value?.nodes ?? []);
  return parts.length === 0 ? null : <p class="muted small served">{parts.join(' · ')}</p>;
}

/** @param nodes those of now */
export function servedParts({ model = '', by, served }: Turn, nodes: Nodes): string[] {
  const stages = served?.stages.map(({ name, layers }) => `${name} (${layersText(...layers)})`).join(' → ');
  const speed = served?.tokens_per_second;
  const parts = [
    model,
    by === undefined ? '' : byText(by, nodes),
    stages ?? '',
    speed == null ? '' : `${speed.toFixed(1)} tok/s`,
    served ? movedText(served.restarts, served.losses ?? [], served.crossings ?? 0) : '',
  ];
  return parts.filter((part) => part !== '');
}

/** The mesh names its stages instead. */
function byText({ name, lender }: NonNullable<Turn['by']>, nodes: Nodes): string {
  if (lender !== undefined) return `lent by ${lenderText(lender, nodes)}`;
  return name === 'mesh' ? '' : `by ${name}`;
}

/** Two may call themselves the same. */
function lenderText({ id, name }: Lender, nodes: Nodes): string {
  const hasNamesake = nodes.some(({ lender }) => lender?.name === name && lender.id !== id);
  return hasNamesake ? `${name} (${id.slice(-4)})` : name;
}
