/** The methods of list, tuple, range and dict that change nothing: the sandbox hides the others. */
import { equal } from './compare.ts';
import { TemplateError } from './errors.ts';
import { each, listOf } from './iterate.ts';
import { Parameters } from './parameters.ts';
import { intArgument } from './text-methods.ts';
import { Callable, Dict, orElse, Range, type Tuple, type Value, View } from './value.ts';

const NONE = new Parameters('');
const ONE = new Parameters('value, /');
const INDEX = new Parameters('value, start=, stop=, /');
const GET = new Parameters('key, default=, /');
const FROM_KEYS = new Parameters('keys, value=, /');

export function sequenceMethod(sequence: Value[] | Tuple | Range, name: string): Value | undefined {
  switch (name) {
    case 'copy':
      return Array.isArray(sequence) ? Callable.with(name, NONE, () => [...sequence]) : undefined;
    case 'count':
      return Callable.with(name, ONE, (value) =>
        BigInt(listOf(sequence).filter((item) => equal(item, value!)).length),
      );
    case 'index':
      return Callable.with(name, sequence instanceof Range ? ONE : INDEX, (value, start, stop) => {
        const items = listOf(sequence);
        const place = (given: Value | undefined, otherwise: number) => {
          const index = intArgument(given, otherwise);
          return Math.max(0, index < 0 ? index + items.length : index);
        };
        for (let at = place(start, 0); at < Math.min(items.length, place(stop, items.length)); at++) {
          if (equal(items[at]!, value!)) return BigInt(at);
        }
        throw new TemplateError('the value is not in the list');
      });
    default:
      return undefined;
  }
}

export function dictMethod(dict: Dict, name: string): Value | undefined {
  switch (name) {
    case 'get':
      return Callable.with(name, GET, (key, otherwise = null) => orElse(dict.get(key!), otherwise));
    case 'keys':
    case 'values':
    case 'items':
      return Callable.with(name, NONE, () => new View(name, dict));
    case 'copy':
      return Callable.with(name, NONE, () => Dict.of(dict.entries()));
    case 'fromkeys':
      return Callable.with(name, FROM_KEYS, (keys, value = null) =>
        Dict.of(Array.from(each(keys!), (key): [Value, Value] => [key, value])),
      );
    default:
      return undefined;
  }
}

/** dict(…): from a mapping or pairs, and names. */
export function dictFrom(args: readonly Value[], keywords: ReadonlyMap<string, Value>): Dict {
  if (args.length > 1) throw new TemplateError(`dict expected at most 1 argument, got ${args.length}`);
  const dict = new Dict();
  const [from] = args;
  if (from instanceof Dict) for (const [key, value] of from.entries()) dict.set(key, value);
  else if (from !== undefined) {
    for (const pair of each(from)) {
      const [key, value, ...more] = each(pair);
      if (key === undefined || value === undefined || more.length > 0) {
        throw new TemplateError('dict() needs pairs of key and value');
      }
      dict.set(key, value);
    }
  }
  for (const [key, value] of keywords) dict.set(key, value);
  return dict;
}
