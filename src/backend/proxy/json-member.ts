/** One value of a JSON text exchanged without touching another character of it. */

const BACKSLASH = 92;
const QUOTE = 34;
const OPENS = new Set([123, 91]);
const CLOSES = new Set([125, 93]);

/**
 * `json` with the value of its top-level `name` replaced, each time that the name stands there. Parsing and writing it anew would
 * round long numbers and reorder keys.
 *
 * @param json a valid JSON object
 * @param exchange given the value as it is written; null leaves it
 */
export function exchangeMember(
  json: string,
  name: string,
  exchange: (value: string) => string | null,
): string {
  const plain = JSON.stringify(name);
  /** A key may be written with escapes. */
  const isName = (key: string) => key === plain || (key.includes('\\') && JSON.parse(key) === name);
  let result = '';
  let copied = 0;
  let depth = 0;
  let isKey = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(json, at);
      if (isKey && depth === 1 && isName(json.slice(at, end))) {
        const valueAt = skipSpace(json, skipSpace(json, end) + 1);
        const valueEnd = endOf(json, valueAt);
        const other = exchange(json.slice(valueAt, valueEnd));
        if (other !== null) {
          result += json.slice(copied, valueAt) + other;
          copied = valueEnd;
        }
        at = valueEnd - 1;
      } else at = end - 1;
      isKey = false;
    } else if (OPENS.has(code)) {
      depth++;
      isKey = code === 123;
    } else if (CLOSES.has(code)) depth--;
    // After a comma in the outer object comes a key; deeper ones do not matter.
    else if (code === 44) isKey = depth === 1;
  }
  return copied === 0 ? json : result + json.slice(copied);
}

/** @returns the index behind the value that begins at `start` */
function endOf(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(json, at) - 1;
      if (depth === 0) return at + 1;
    } else if (OPENS.has(code)) depth++;
    else if (CLOSES.has(code)) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (code === 44 || /\s/.test(json[at]!))) return at;
  }
  return json.length;
}

/** @returns the index behind the string that opens at `at` */
function stringEnd(json: string, at: number): number {
  for (let end = at + 1; end < json.length; end++) {
    const code = json.charCodeAt(end);
    if (code === BACKSLASH) end++;
    else if (code === QUOTE) return end + 1;
  }
  return json.length;
}

function skipSpace(json: string, at: number): number {
  let next = at;
  while (/\s/.test(json[next] ?? '')) next++;
  return next;
}
