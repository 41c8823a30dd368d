/** Who a peer is follows from its key alone, so that it is itself again at a server that knows nothing of it. */
import { createHash } from 'node:crypto';

export interface PeerIdentity {
  /** `p-` and 16 hex digits; everyone may know it. */
  readonly id: string;
  /** SHA-256 of the key, in hex: the key itself is not kept. */
  readonly digest: string;
}

/** @param key 43 characters of base64url: 32 random bytes */
export function identityOf(key: string): PeerIdentity {
  const digest = createHash('sha256').update(key).digest('hex');
  return { id: `p-${digest.slice(0, 16)}`, digest };
}
