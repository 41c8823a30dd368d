import { ShoalError } from '../../../config/errors.ts';
import {
  MAX_RESTARTS,
  MAX_SEQUENCES_PER_STAGE,
  PIPELINE_WAIT_MS,
  RETRY_AFTER_SECONDS,
} from '../../../config/limits.ts';
import type { Loss } from '../../../mesh/protocol/status.ts';
import type { Peer } from '../peers/peer.ts';
import type { RouteOutlook } from '../routes/mesh-route.ts';

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

/** Why an answer that waited PIPELINE_WAIT_MS waits no longer. */
export function noRoute({ ready, detail }: RouteOutlook): ShoalError {
  const seconds = PIPELINE_WAIT_MS / 1_000;
  return ready
    ? new ShoalError(
        'OVERLOADED',
        `no worker had room for ${seconds} s: each holds ${MAX_SEQUENCES_PER_STAGE} sequences of a stage at most, and what its KV cache takes; ask for fewer tokens, try again, or add workers`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      )
    : new ShoalError('NO_PIPELINE', `no route for ${seconds} s: ${detail}${remedyBeside(detail)}`);
}

/** Where what is missing does not say it already. */
const remedyBeside = (detail: string) =>
  /press Join/.test(detail) ? '' : '; more workers help: open the page and press Join, or start shoal worker';
