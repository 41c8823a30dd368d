import { MAX_RUNNING_PER_MESSAGE } from '../../config/limits.ts';
import type { PeerMessage, RunningSequence } from '../../mesh/protocol/control.ts';
import { messageParts } from '../../mesh/protocol/message-parts.ts';

type RunningMessage = Extract<PeerMessage, { type: 'running' }>;

/**
 * The sequences in as many messages as they need, at least one; the last one says so. A route that is too long for any message is
 * left out: its server then takes the sequence for lost here, and gives it another.
 */
export function runningMessages(sequences: readonly RunningSequence[]): RunningMessage[] {
  const parts = messageParts(sequences, MAX_RUNNING_PER_MESSAGE);
  return parts.map((part, index) => ({
    type: 'running',
    sequences: part,
    last: index === parts.length - 1,
  }));
}
