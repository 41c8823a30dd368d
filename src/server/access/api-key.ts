import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'sk-shoal-';
const KEY_BYTES = 32;

/** A fresh key, shown once to whom it is for; the prefix lets people and secret scanners recognize it. */
export function newApiKey(random: (bytes: number) => Buffer = randomBytes): string {
  return `${PREFIX}${random(KEY_BYTES).toString('base64url')}`;
}

/**
 * What is stored of a key. A fast hash without salt is right here: the key is 256 random bits, not a password, so there is
 * nothing to guess that a slow hash would make dear, and no table of likely keys that a salt would spoil. It costs a
 * request a microsecond.
 */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Takes as long for equal hashes as for different ones. */
export function isSameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
