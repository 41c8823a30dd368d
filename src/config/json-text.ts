/**
 * JSON text that is changed in a place or two. Parsed and written anew, it would lose digits of long numbers, one of two keys
 * of the same name, and the spelling of everything else.
 */

const BACKSLASH = 92;
const QUOTE = 34;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

export interface Member {
  readonly key: string;
  /** Where its value begins and ends in the text. */
  readonly start: number;
  readonly end: number;
}

/**
 * The members of an object, in their order; a key may be there twice.
 *
 * @param json a valid JSON object
 */
export function membersOf(json: string): Member[] {
  const members: Member[] = [];
  let at = afterSpace(json, json.indexOf('{') + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = stringEnd(json, at);
    const start = afterSpace(json, afterSpace(json, keyEnd) + 1);
    const end = valueEnd(json, start);
    members.push({ key: JSON.parse(json.slice(at, keyEnd)), start, end });
    at = afterSpace(json, afterSpace(json, end) + 1);
  }
  return members;
}

/** The text of a member's value, of the last of its name as `JSON.parse` has it; undefined where there is none. */
export function memberText(json: string, key: string): string | undefined {
  const member = membersOf(json).findLast((candidate) => candidate.key === key);
  return member && json.slice(member.start, member.end);
}

/**
 * `json` with the values of some members replaced, each of that name, or added at its end.
 *
 * @param changes JSON text by key
 */
export function withMembers(json: string, changes: Readonly<Record<string, string>>): string {
  const members = membersOf(json);
  const missing = new Map(Object.entries(changes));
  let text = '';
  let copied = 0;
  for (const { key, start, end } of members) {
    if (!Object.hasOwn(changes, key)) continue;
    missing.delete(key);
    text += json.slice(copied, start) + changes[key];
    copied = end;
  }
  if (missing.size === 0) return text + json.slice(copied);
  const close = json.lastIndexOf('}');
  const added = [...missing].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',');
  return `${text}${json.slice(copied, close)}${members.length > 0 ? ',' : ''}${added}${json.slice(close)}`;
}

/** @returns the index behind the string that opens at `at`; strings may be pictures of many megabytes */
export function stringEnd(json: string, at: number): number {
  for (let end = json.indexOf('"', at + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return json.length;
}

/** What a number, `true`, `false` or `null` is made of. */
const SCALAR = /[\w.+-]*/y;

function valueEnd(json: string, start: number): number {
  const first = json[start];
  if (first === '"') return stringEnd(json, start);
  if (first !== '{' && first !== '[') {
    SCALAR.lastIndex = start;
    SCALAR.test(json);
    return Math.max(SCALAR.lastIndex, start + 1);
  }
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(json, at) - 1;
    else if (code === OPEN_OBJECT || code === OPEN_LIST) depth++;
    else if ((code === CLOSE_OBJECT || code === CLOSE_LIST) && --depth === 0) return at + 1;
  }
  return json.length;
}

function afterSpace(json: string, at: number): number {
  let next = at;
  while (/\s/.test(json[next] ?? '')) next++;
  return next;
}
