/** What kind of machine an IP address leads to: a proxy's url must not reach into the operator's network unasked. For Node and browsers. */
import { ShoalError } from './errors.ts';
import { type Cidr, isInCidr, isMapped, parseCidr, parseIp } from './ip-address.ts';

/** `private` is everything that is neither public nor one of the others, reserved ranges too. */
export type AddressClass =
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'metadata'
  | 'unspecified'
  | 'multicast'
  | 'public';

/** The first range that holds the address decides. Sources: IANA's special-purpose registries of IPv4 and IPv6, and the clouds' manuals. */
const CLASSES: readonly (readonly [AddressClass, readonly string[]])[] = [
  [
    // Services that give credentials to whoever asks from this machine.
    'metadata',
    [
      '169.254.169.254', // AWS, Google, Azure, and most others
      '169.254.170.2', // AWS ECS
      '169.254.170.23', // AWS EKS
      '169.254.0.23', // Tencent
      '168.63.129.16', // Azure's WireServer, a public address by its number
      '100.100.100.200', // Alibaba
      '192.0.0.192', // Oracle
      'fd00:ec2::254', // AWS
      'fd00:ec2::23', // AWS EKS
      'fd20:ce::254', // Google
      'fd00:42::42', // Scaleway
      'fe80::a9fe:a9fe', // OpenStack
    ],
  ],
  ['unspecified', ['0.0.0.0/8', '::']],
  ['loopback', ['127.0.0.0/8', '::1']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  ['multicast', ['224.0.0.0/4', '255.255.255.255', 'ff00::/8']],
  [
    'private',
    [
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10', // carrier-grade NAT, and Tailscale's network
      '192.0.0.0/24', // IETF protocol assignments
      '198.18.0.0/15', // benchmarks; some local proxies answer every name from here
      '240.0.0.0/4',
      '2001::/23', // IETF protocol assignments; Teredo among them
    ],
  ],
  // All IPv6 unicast that is public lies in here; unique local, site-local, discard-only and the rest do not.
  ['public', ['0.0.0.0/0', '2000::/3']],
];

const RANGES = CLASSES.flatMap(([kind, texts]) => texts.map((text) => [kind, rangeOf(text)] as const));

/** IPv6 addresses that stand for an IPv4 one, by where it lies in them. A translator on the way would connect to that. */
const EMBEDDED: readonly (readonly [range: Cidr, offset: number])[] = [
  [rangeOf('64:ff9b::/96'), 12], // NAT64, RFC 6052
  [rangeOf('::ffff:0:0:0/96'), 12], // IPv4-translated, RFC 2765
  [rangeOf('2002::/16'), 2], // 6to4, RFC 3056
];
/** IPv4-compatible, `::a.b.c.d`, RFC 4291 section 2.5.5.1; `::` and `::1` are of the same shape and are not. */
const COMPATIBLE = rangeOf('::/96');

/**
 * @param ip an address as `dns.lookup` and `URL` give it, without brackets
 * @throws ADDRESS_REFUSED when it is no address
 */
export function classifyAddress(ip: string): AddressClass {
  const bytes = parseIp(ip);
  if (bytes === null) throw new ShoalError('ADDRESS_REFUSED', `"${ip.slice(0, 64)}" is not an IP address`);
  const address = embeddedIpv4(bytes) ?? bytes;
  return RANGES.find(([, range]) => isInCidr(address, range))?.[0] ?? 'private';
}

function embeddedIpv4(bytes: readonly number[]): readonly number[] | undefined {
  if (bytes.length === 4) return undefined;
  if (isMapped(bytes)) return bytes.slice(12);
  for (const [range, offset] of EMBEDDED) {
    if (isInCidr(bytes, range)) return bytes.slice(offset, offset + 4);
  }
  const low = bytes.slice(12);
  const isCompatible = isInCidr(bytes, COMPATIBLE) && low.slice(0, 3).some((byte) => byte !== 0);
  return isCompatible ? low : undefined;
}

/** Whether `allow_addresses` may have this as an entry: an address, or a range such as `10.0.0.0/8`. */
export const isCidr = (text: string): boolean => parseCidr(text) !== null;

/** False too when either is no address or range. An IPv4-mapped address lies in IPv4 ranges. */
export function matchesCidr(ip: string, cidr: string): boolean {
  const address = parseIp(ip);
  const range = parseCidr(cidr);
  return address !== null && range !== null && isInCidr(address, range);
}

/** The address that a url's host is written as (`URL.hostname`, with its brackets), or null for a name. */
export function literalAddress(hostname: string): string | null {
  const ip = hostname.replace(/^\[(.*)\]$/, '$1');
  return parseIp(ip) === null ? null : ip;
}

function rangeOf(text: string): Cidr {
  const range = parseCidr(text);
  if (range === null) throw new ShoalError('INTERNAL', `"${text}" is not a range of addresses`);
  return range;
}
