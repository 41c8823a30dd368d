import type { WireDtype } from '../gpu/stage-engine.ts';

/**
 * Whether all values of rows in `wire` format are numbers: neither Inf nor NaN, which both have an exponent of all ones.
 * Linear in the bytes, and little beside computing them.
 */
export function areFinite(rows: Uint8Array, wire: WireDtype): boolean {
  // The sign and the exponent's upper bits are in the last byte of a value; in little-endian the exponent ends in the one before.
  if (wire === 'f16') {
    for (let at = 1; at < rows.length; at += 2) if ((rows[at]! & 0x7c) === 0x7c) return false;
    return true;
  }
  for (let at = 3; at < rows.length; at += 4) {
    if ((rows[at]! & 0x7f) === 0x7f && rows[at - 1]! >= 0x80) return false;
  }
  return true;
}
