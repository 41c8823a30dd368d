import { MAX_CONTROL_BYTES, MAX_RUNNING_PER_MESSAGE } from '../../config/limits.ts';
import type { PeerMessage, RunningSequence } from '../../mesh/protocol/control.ts';

type RunningMessage = Extract<PeerMessage, { type: 'running' }>;

/** Names of stages are the server's, 64 characters at most, and each may take three bytes or be escaped. */
const BYTES_PER_CHAR = 3;
const ENVELOPE_CHARS = 64;

/**
 * The sequences in as many messages as they need, at least one; the last one says so. A route that is too long for any message is
 * left out: its server then takes the sequence for lost here, and gives it another.
 */
export function runningMessages(sequences: readonly RunningSequence[]): RunningMessage[] {
  const most = MAX_CONTROL_BYTES / BYTES_PER_CHAR - ENVELOPE_CHARS;
  const parts: RunningSequence[][] = [[]];
  let chars = 0;
  for (const sequence of sequences) {
    const own = JSON.stringify(sequence).length + 1;
    if (own > most) continue;
    if (chars + own > most || parts.at(-1)!.length >= MAX_RUNNING_PER_MESSAGE) {
      parts.push([]);
      chars = 0;
    }
    parts.at(-1)!.push(sequence);
    chars += own;
  }
  return parts.map((part, index) => ({
    type: 'running',
    sequences: part,
    last: index === parts.length - 1,
  }));
}
