import { movedText } from '../../mesh/protocol/loss-text.ts';
import { layersText } from '../../model/shard.ts';
import type { Answer } from '../api-client.ts';
import { printable } from '../printable.ts';

/** Who gave an answer and how fast: `tab-1 (layers 0–3) → tab-2 (layers 4–7), 12.3 tokens/s`. */
export function servedBy({ served, node, usage, streamMs }: Answer): string {
  const stages = served?.stages.map(
    ({ name, layers: [start, end] }) => `${name} (${layersText(start, end)})`,
  );
  const lent = node?.lender === undefined ? '' : `, lent by ${node.lender.name}`;
  const who = stages?.join(' → ') ?? (node === null ? 'the configured backend' : `${node.name}${lent}`);
  const moved = movedText(served?.restarts ?? 0, served?.losses ?? [], served?.crossings ?? 0);
  const rate = served?.tokens_per_second ?? rateOf(usage?.completionTokens ?? 0, streamMs);
  // Workers, lenders and nodes name themselves.
  return `${printable(moved === '' ? who : `${who}, ${moved}`)}${rate === null ? '' : `, ${rate.toFixed(1)} tokens/s`}`;
}

/** As they came here; the first one's time is the prompt's. */
function rateOf(tokens: number, streamMs: number): number | null {
  return tokens > 1 && streamMs > 0 ? ((tokens - 1) * 1_000) / streamMs : null;
}

export interface ContextOf {
  /** Absent where the server does not say. */
  readonly contextLength?: number;
  readonly maxTokens?: number;
}

/** How full the context is, and where the answer was cut, why and what to do. Empty where nothing is known. */
export function contextNotes(
  { finishReason, usage }: Answer,
  { contextLength, maxTokens }: ContextOf,
): string[] {
  const used = usage === null ? null : usage.promptTokens + usage.completionTokens;
  const notes: string[] = [];
  if (used !== null && contextLength !== undefined) notes.push(`context ${used} of ${contextLength} tokens`);
  if (finishReason !== 'length') return notes;
  const isFull = used !== null && contextLength !== undefined && used >= contextLength;
  const isBounded = maxTokens !== undefined && (usage === null || usage.completionTokens >= maxTokens);
  if (isBounded && !isFull) notes.push(`cut after --max-tokens ${maxTokens}`);
  else if (isFull) notes.push('cut: the context is full; /clear starts a new conversation');
  else notes.push('cut: the server’s bound is reached; /clear makes room if it is the context');
  return notes;
}
