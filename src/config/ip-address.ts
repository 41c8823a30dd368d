/** IP addresses and CIDR ranges as bytes. For Node and browsers, hence not node:net. */

/** 4 bytes, or 16. */
type IpBytes = readonly number[];

/** @returns null for anything but an address: no name, no port, no brackets; a zone (`fe80::1%eth0`) is dropped */
export function parseIp(text: string): IpBytes | null {
  if (!text.includes(':')) return parseIpv4(text);
  const zone = text.indexOf('%');
  return parseIpv6(zone === -1 ? text : text.slice(0, zone));
}

/** Four decimal numbers. Octal, hex and short forms (`0177.1`) are what URL parsers have already turned into these. */
function parseIpv4(text: string): IpBytes | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

/** RFC 4291, section 2.2. */
function parseIpv6(text: string): IpBytes | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  // Only the last group of all may be written as IPv4.
  if (halves.length === 2 && halves[0]!.includes('.')) return null;
  const [head, tail] = halves.map(groups);
  if (head === undefined || head === null || tail === null) return null;
  if (tail === undefined) return head.length === 16 ? head : null;
  const missing = 16 - head.length - tail.length;
  return missing < 2 ? null : [...head, ...Array<number>(missing).fill(0), ...tail];
}

function groups(text: string): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const bytes: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const ipv4 = index === parts.length - 1 ? parseIpv4(part) : null;
      if (ipv4 === null) return null;
      bytes.push(...ipv4);
    } else {
      if (!/^[\da-f]{1,4}$/i.test(part)) return null;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
  }
  return bytes;
}

export interface Cidr {
  readonly bytes: IpBytes;
  readonly prefixBits: number;
}

/** `10.0.0.5` (that address alone) or `10.0.0.0/8`; bits below the prefix do not count. @returns null for anything else */
export function parseCidr(text: string): Cidr | null {
  const [address = '', prefix, ...rest] = text.split('/');
  const bytes = address.includes('%') ? null : parseIp(address);
  if (bytes === null || rest.length > 0) return null;
  const maxBits = bytes.length * 8;
  if (prefix === undefined) return unmapped({ bytes, prefixBits: maxBits });
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > maxBits) return null;
  return unmapped({ bytes, prefixBits: Number(prefix) });
}

function unmapped(cidr: Cidr): Cidr {
  return isMapped(cidr.bytes) && cidr.prefixBits >= 96
    ? { bytes: cidr.bytes.slice(12), prefixBits: cidr.prefixBits - 96 }
    : cidr;
}

/** IPv4-mapped, `::ffff:a.b.c.d`: the form in which dual-stack sockets show IPv4. */
export const isMapped = (bytes: IpBytes) =>
  bytes.length === 16 &&
  bytes.slice(0, 10).every((byte) => byte === 0) &&
  bytes[10] === 255 &&
  bytes[11] === 255;

/** Whether the address lies in the range. An IPv4-mapped address lies in IPv4 ranges, as with node:net's BlockList. */
export function isInCidr(address: IpBytes, range: Cidr): boolean {
  const bytes = isMapped(address) ? address.slice(12) : address;
  if (bytes.length !== range.bytes.length) return false;
  return bytes.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, range.prefixBits - 8 * index));
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === (range.bytes[index]! & mask);
  });
}
