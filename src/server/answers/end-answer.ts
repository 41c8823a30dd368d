/** `DELETE` where an answer was asked for: hanging up no longer ends it. */
import type { Handler } from 'hono';
import { ShoalError } from '../../config/errors.ts';
import { IDEMPOTENCY_KEY_HEADER, readIdempotencyKey } from './idempotency-key.ts';
import type { KeptAnswers } from './kept-answers.ts';

/** Ends the answer of the client's Idempotency-Key, and forgets it. @throws INVALID_REQUEST, ANSWER_LOST */
export const endAnswer =
  (answers: KeptAnswers): Handler =>
  (c) => {
    const key = readIdempotencyKey(c.req.header(IDEMPOTENCY_KEY_HEADER));
    if (key === null) {
      throw new ShoalError(
        'INVALID_REQUEST',
        'which answer is to end? Send the Idempotency-Key that it was asked with',
        { param: IDEMPOTENCY_KEY_HEADER },
      );
    }
    answers.end({
      owner: c.get('exchange').client,
      idempotencyKey: key,
      lastEventId: c.req.header('last-event-id'),
    });
    return c.json({ ended: true });
  };
