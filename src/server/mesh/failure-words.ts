import { ShoalError } from '../../config/errors.ts';
import { MAX_RESTARTS } from '../../config/limits.ts';
import type { Loss } from '../../mesh/protocol/status.ts';
import type { Peer } from './peer.ts';

/** Whom or what it was lost to, in the words that a client is told. */
export function lossOf({ code }: ShoalError, by: Peer | null): Loss {
  if (code === 'F16_RANGE') return { worker: null, how: 'precision' };
  if (code === 'DEADLINE_EXCEEDED') return { worker: null, how: 'stalled' };
  return { worker: by?.name ?? null, how: 'failed' };
}

/** Why no other route is tried. */
export function givenUp(why: 'too-often' | 'non-finite', error: ShoalError): ShoalError {
  return why === 'non-finite'
    ? new ShoalError(
        'NON_FINITE',
        'the model gave values that are no numbers, on one worker after another; shorten or change the prompt',
      )
    : new ShoalError(
        'PIPELINE_LOST',
        `the answer was started again ${MAX_RESTARTS} times and failed each time, the last time with ${error}`,
        { cause: error },
      );
}
