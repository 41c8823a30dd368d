/**
 * Credentials for a TURN server that shares a secret with this one and asks it nothing: the REST scheme of coturn
 * (`use-auth-secret`), draft-uberti-behave-turn-rest-00 §2.2. Username: when it ends, in Unix seconds, and whose it is;
 * credential: base64(HMAC-SHA1(secret, username)).
 */
import { createHmac } from 'node:crypto';
import { TURN_CREDENTIAL_MS, TURN_ROUNDING_MS } from '../../../config/limits.ts';
import type { Secret } from '../../../config/secret.ts';

export interface TurnServers {
  /** `turn:` and `turns:` URLs of servers with the same secret; not empty. */
  readonly urls: readonly string[];
  readonly secret: Secret;
}

/** @param nowMs since the Unix epoch */
export function turnCredentials(
  { urls, secret }: TurnServers,
  peer: string,
  nowMs: number,
): { urls: string[]; username: string; credential: string } {
  const endsMs = Math.ceil((nowMs + TURN_CREDENTIAL_MS) / TURN_ROUNDING_MS) * TURN_ROUNDING_MS;
  const username = `${endsMs / 1_000}:${peer}`;
  const credential = createHmac('sha1', secret.reveal()).update(username).digest('base64');
  return { urls: [...urls], username, credential };
}
