/**
 * The secret by which a peer is itself again on its next connection: 32 random bytes as 43 characters of base64url. Whoever knows
 * it is that peer, so it is drawn anew for every contribution and kept in memory only.
 */
export function drawPeerKey(
  fill: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => void crypto.getRandomValues(bytes),
): string {
  const bytes = new Uint8Array(32);
  fill(bytes);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
