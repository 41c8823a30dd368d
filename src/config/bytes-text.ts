/** Numbers of bytes for people, in decimal units. The page has its own, shorter: an error must tell 1.92 GB from 1.95 GB. */

/** `1.92 GB`, `15.0 MB`; kilobytes are rounded up. */
export function bytesText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.ceil(bytes / 1e3)} kB`;
}

/** What grows, in one unit: `0.3 of 1204.5 MB`. */
export function megabytesOf(done: number, total: number): string {
  return `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
}
