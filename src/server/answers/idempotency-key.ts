/**
 * The Idempotency-Key of a request (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header): requests with
 * one key are one request, asked again. The draft has the key in quotes; most clients send it without.
 */
import { createHash } from 'node:crypto';
import { ShoalError } from '../../config/errors.ts';
import { MAX_IDEMPOTENCY_KEY_CHARS } from '../../config/limits.ts';

export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';

/** Printable ASCII, as a header carries it. */
const KEY = new RegExp(`^[!-~](?:[ -~]{0,${MAX_IDEMPOTENCY_KEY_CHARS - 2}}[!-~])?$`);

/** @throws INVALID_REQUEST */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (KEY.test(key)) return key;
  throw new ShoalError(
    'INVALID_REQUEST',
    `Idempotency-Key has ${key.length} characters or some that are not printable ASCII; use 1 to ${MAX_IDEMPOTENCY_KEY_CHARS}, such as a UUID`,
    { param: IDEMPOTENCY_KEY_HEADER },
  );
}

/** SHA-256 in hex of parts that cannot run into each other. What is kept of keys, owners and bodies. */
export function digestOf(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}
