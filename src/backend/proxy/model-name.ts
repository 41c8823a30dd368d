/** The model's name in what a backend wrote, exchanged without touching another character of it. */

const BACKSLASH = 92;
const QUOTE = 34;

/**
 * `json` with the value of its top-level `model`, if that is a string, replaced. Parsing and writing it anew would round long
 * numbers and reorder keys.
 *
 * @param json a valid JSON object
 */
export function renameModel(json: string, model: string): string {
  let result = '';
  let copied = 0;
  let depth = 0;
  let isKey = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(json, at);
      if (isKey && depth === 1 && isModelKey(json.slice(at, end))) {
        const valueAt = skipSpace(json, skipSpace(json, end) + 1);
        if (json.charCodeAt(valueAt) === QUOTE) {
          const valueEnd = stringEnd(json, valueAt);
          result += json.slice(copied, valueAt) + JSON.stringify(model);
          copied = valueEnd;
          at = valueEnd - 1;
          isKey = false;
          continue;
        }
      }
      isKey = false;
      at = end - 1;
    } else if (code === 123 || code === 91) {
      depth++;
      isKey = code === 123;
    } else if (code === 125 || code === 93) depth--;
    // After a comma in the outer object comes a key; deeper ones do not matter.
    else if (code === 44) isKey = depth === 1;
  }
  return copied === 0 ? json : result + json.slice(copied);
}

/** A key may be written with escapes. */
const isModelKey = (text: string) =>
  text === '"model"' || (text.includes('\\') && JSON.parse(text) === 'model');

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

/**
 * `message` with the backend's name for the model replaced where it stands as a name: in quotes, or behind the word "model".
 * A name such as `default` is a word of other sentences too, and `llama3` is the start of `llama3-8b`; those stay.
 */
export function renameInMessage(message: string, theirs: string, ours: string): string {
  const name = theirs.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const quoted = new RegExp(`(?<=(["'\`]))${name}(?=\\1)|(?<=[“‘])${name}(?=[”’])`, 'g');
  const named = new RegExp(`(?<=\\bmodel(?:\\s+|\\s*[:=]\\s*))${name}(?![\\w/:@-]|\\.\\w)`, 'gi');
  return message.replaceAll(quoted, () => ours).replaceAll(named, () => ours);
}
