import { movedText } from '../../mesh/protocol/loss-text.ts';
import { layersText } from '../../model/shard.ts';
import type { Turn } from './conversation.ts';

/** Which model answered, on whose machines, and how fast. */
export function ServedBy({ turn }: { turn: Turn }) {
  const parts = servedParts(turn);
  return parts.length === 0 ? null : <p class="muted small served">{parts.join(' · ')}</p>;
}

export function servedParts({ model = '', by, served }: Turn): string[] {
  const stages = served?.stages.map(({ name, layers }) => `${name} (${layersText(...layers)})`).join(' → ');
  const speed = served?.tokens_per_second;
  const parts = [
    model,
    by === undefined
      ? ''
      : by.lender
        ? `lent by ${by.lender.name}`
        : by.name === 'mesh'
          ? ''
          : `by ${by.name}`,
    stages ?? '',
    speed == null ? '' : `${speed.toFixed(1)} tok/s`,
    served ? movedText(served.restarts, served.losses ?? []) : '',
  ];
  return parts.filter((part) => part !== '');
}
