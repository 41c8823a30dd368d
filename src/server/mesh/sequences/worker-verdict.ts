import { type ErrorCode, ShoalError } from '../../../config/errors.ts';
import type { Peer } from '../peers/peer.ts';
import { stageBefore } from '../routes/mesh-route.ts';
import type { Sequence } from './sequence.ts';

/**
 * What a worker's `sequence-failed` may cause. A worker is a stranger: its text goes to the log and never to a client,
 * and only these codes mean more than "start again, and count it against the worker".
 */
export interface WorkerVerdict {
  readonly error: ShoalError;
  /** Somebody counts as failing: the worker, ... */
  readonly isBlamed: boolean;
  /** ... or the stage that sent it what it refuses; null: nobody else. */
  readonly accused: Peer | null;
}

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  F16_RANGE: 'values left the range of f16',
  SEQUENCE_LIMIT: 'a stage has no room for another sequence',
  KV_EXHAUSTED: 'a stage has no KV cache left for this sequence',
  NON_FINITE: 'a stage computed values that are no numbers',
};

/** What is wrong with a frame, and so its sender's doing. */
const OF_FRAMES: readonly ErrorCode[] = ['NON_FINITE', 'FRAME_INVALID', 'POSITION_GAP'];

/** @param sender as the worker names it; who sends it nothing on this route is not accused */
export function judgeWorkerFailure(
  code: ErrorCode,
  sequence: Sequence,
  by: Peer,
  sender?: string,
): WorkerVerdict {
  const sentence = SENTENCES[code];
  const isExcused =
    code === 'F16_RANGE'
      ? sequence.wire === 'f16'
      : // Room is reserved when a sequence opens; who has opened it has room.
        (code === 'SEQUENCE_LIMIT' || code === 'KV_EXHAUSTED') && !sequence.hasOpened(by);
  const before = sequence.route === null ? null : stageBefore(sequence.route, by);
  // Nobody is given anything to send before every stage has opened it.
  const isEarly = code === 'SEQUENCE_UNKNOWN' && !sequence.hasOpened(by);
  const accused = (isEarly || OF_FRAMES.includes(code)) && before?.id === sender ? before : null;
  if (sentence !== undefined && (isExcused || code === 'NON_FINITE')) {
    return { error: new ShoalError(code, sentence), isBlamed: !isExcused, accused };
  }
  return {
    error: new ShoalError('PIPELINE_LOST', `a stage could not go on with the sequence (${code})`),
    isBlamed: true,
    accused,
  };
}
