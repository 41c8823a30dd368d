import { isIP } from 'node:net';

/**
 * The address that a request came from. X-Forwarded-For is written by anyone; only the entries that the operator's own
 * proxies appended, the last ones, are to be trusted: with one proxy the last entry is the client, with two the last but one.
 *
 * @param socketAddress who holds the connection
 * @param trustedProxies how many reverse proxies stand before this server; 0: the header counts for nothing
 */
export function clientAddress(
  socketAddress: string,
  forwardedFor: string | undefined,
  trustedProxies: number,
): string {
  if (trustedProxies === 0 || forwardedFor === undefined) return plainAddress(socketAddress);
  const path = [...forwardedFor.split(','), socketAddress].map((entry) => plainAddress(entry.trim()));
  const client = path[Math.max(0, path.length - 1 - trustedProxies)]!;
  return isIP(client) === 0 ? plainAddress(socketAddress) : client;
}

/**
 * What one client is counted as: an IPv4 address, or the /64 of an IPv6 address, within which anyone may take as
 * many addresses as he likes (RFC 6177 gives a site no less).
 */
export function addressGroup(address: string): string {
  if (isIP(address) !== 6) return address;
  // The URL parser writes every IPv6 address in one way (RFC 5952), with at most one `::`.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Without port, brackets and zone, and IPv4 as such where it came in an IPv6 socket. */
function plainAddress(text: string): string {
  const bare = (/^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text).split(
    '%',
  )[0]!;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
}
