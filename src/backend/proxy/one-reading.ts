/**
 * A request whose own text goes on to a backend, which must not read another request in it than was checked here: of two
 * members of one name some parsers take the first, and Go's (Ollama, LocalAI) takes `"MODEL"` for `model`.
 */
import { ShoalError } from '../../config/errors.ts';
import { membersOf } from '../../config/json-text.ts';

/** As Go compares names: the long s and the sign for kelvin are letters, too. */
const folded = (name: string) => name.toUpperCase().toLowerCase();

/** What the gateway decides by: who may answer, how many places it takes, how the answer is sent. */
const READ_HERE = ['best_of', 'echo', 'messages', 'model', 'n', 'prompt', 'stream', 'stream_options'];
const SPELT = new Map(READ_HERE.map((name) => [folded(name), name]));

/**
 * @param text what `body` was parsed from; undefined: it is written anew
 * @throws INVALID_REQUEST
 */
export function checkOneReading(body: Readonly<Record<string, unknown>>, text: string | undefined): void {
  for (const key of Object.keys(body)) {
    const name = SPELT.get(folded(key));
    if (name !== undefined && name !== key)
      throw ambiguous(name, `${JSON.stringify(key)} is read as ${name} by some servers`);
  }
  if (text === undefined) return;
  const seen = new Set<string>();
  for (const { key } of membersOf(text)) {
    if (seen.has(key)) throw ambiguous(key, `${key} is there twice`);
    if (READ_HERE.includes(key)) seen.add(key);
  }
}

function ambiguous(param: string, what: string): ShoalError {
  return new ShoalError('INVALID_REQUEST', `${what}; send ${param} once, in lower case`, { param });
}
