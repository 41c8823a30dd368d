/** The codings that files are kept in beside their plain bytes; the one that is smaller comes first. */
export const CONTENT_CODINGS = ['br', 'gzip'] as const;
export type ContentCoding = (typeof CONTENT_CODINGS)[number];

/** What the build calls a file's coded form: `main.js.br`. */
export const CODED_SUFFIX: Record<ContentCoding, string> = { br: '.br', gzip: '.gz' };

/**
 * Reads Accept-Encoding (RFC 9110 §12.5.3) for what there is.
 *
 * @param available in the order of preference among what the client likes equally
 * @returns null for the plain bytes: without the header, where it takes none of them (`q=0` is a refusal), and where it
 *   likes `identity` better. A client that refuses the plain bytes too gets them all the same, as the RFC allows.
 */
export function chooseCoding(
  header: string | undefined,
  available: readonly ContentCoding[],
): ContentCoding | null {
  if (header === undefined) return null;
  const weights = new Map<string, number>();
  for (const element of header.split(',')) {
    const match = /^\s*([^\s;]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/i.exec(element);
    // What cannot be read asks for nothing.
    if (match === null) continue;
    const name = match[1]!.toLowerCase();
    weights.set(name === 'x-gzip' ? 'gzip' : name, Math.min(1, Number(match[2] ?? '1')));
  }
  let best: ContentCoding | null = null;
  let bestWeight = weights.get('identity') ?? 0;
  for (const coding of available) {
    const weight = weights.get(coding) ?? weights.get('*') ?? 0;
    // A tie with `identity` is for the smaller one.
    if (weight > 0 && (best === null ? weight >= bestWeight : weight > bestWeight)) {
      best = coding;
      bestWeight = weight;
    }
  }
  return best;
}
