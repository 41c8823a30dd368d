/** The key that a server may ask workers for. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ShoalError } from '../../../config/errors.ts';
import type { Secret } from '../../../config/secret.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * @param asked null: whoever reaches the server may join
 * @throws UNAUTHORIZED
 */
export function checkJoinKey(given: string | undefined, asked: Secret | null): void {
  if (asked === null) return;
  if (given === undefined) {
    throw new ShoalError(
      'UNAUTHORIZED',
      'this server asks its workers for a key; ask its operator, and give it with --join-key, in SHOAL_JOIN_KEY or in the page',
    );
  }
  // Of the digests, whose length says nothing.
  if (timingSafeEqual(digest(given), digest(asked.reveal()))) return;
  throw new ShoalError(
    'UNAUTHORIZED',
    'the join key is not the one that this server asks for; ask its operator for it',
  );
}
