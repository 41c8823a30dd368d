import { MAX_CONTROL_BYTES } from '../../config/limits.ts';

/** Names may take three bytes a character, or be escaped. */
const BYTES_PER_CHAR = 3;
const ENVELOPE_CHARS = 128;

/**
 * A list in as many parts as it takes to fit control messages; at least one, which may be empty. What is too long for any message is left out.
 * @param most entries of one part
 */
export function messageParts<Entry>(entries: readonly Entry[], most: number): Entry[][] {
  const mostChars = MAX_CONTROL_BYTES / BYTES_PER_CHAR - ENVELOPE_CHARS;
  const parts: Entry[][] = [[]];
  let chars = 0;
  for (const entry of entries) {
    const own = JSON.stringify(entry).length + 1;
    if (own > mostChars) continue;
    if (chars + own > mostChars || parts.at(-1)!.length >= most) {
      parts.push([]);
      chars = 0;
    }
    parts.at(-1)!.push(entry);
    chars += own;
  }
  return parts;
}
