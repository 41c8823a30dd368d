/** Bytes [start, end) of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a Range header (RFC 9110 §14.1.2) for one range.
 *
 * @returns `whole` without a header, and for units and lists of ranges that are not served (a server may ignore them);
 *   `unsatisfiable` for a range that starts beyond the end
 */
export function parseRange(
  header: string | undefined,
  fileBytes: number,
): ByteRange | 'whole' | 'unsatisfiable' {
  const match = header === undefined ? null : /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (match === null) return 'whole';
  const [first, last] = [match[1]!, match[2]!];
  if (first === '') {
    if (last === '') return 'whole';
    const suffix = Number(last);
    if (suffix === 0 || fileBytes === 0) return 'unsatisfiable';
    return { start: Math.max(0, fileBytes - suffix), end: fileBytes };
  }
  const start = Number(first);
  const end = last === '' ? fileBytes : Math.min(Number(last) + 1, fileBytes);
  if (last !== '' && Number(last) < start) return 'whole';
  return start >= fileBytes ? 'unsatisfiable' : { start, end };
}
