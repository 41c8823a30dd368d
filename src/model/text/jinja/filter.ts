import { getItem } from './access.ts';
import { NotSupported, TemplateError } from './errors.ts';
import { Parameters } from './parameters.ts';
import { type Arguments, isInt, isText, type Keywords, textOf, Undefined, type Value } from './value.ts';

/** What a filter may ask of the interpreter: `map` and `select` run others by their names. */
export interface Names {
  filter(name: string, value: Value, args: Arguments, keywords: Keywords): Value;
  test(name: string, value: Value, args: Arguments, keywords: Keywords): boolean;
  hasFilter(name: string): boolean;
  hasTest(name: string): boolean;
}

export type Filter = (value: Value, args: Arguments, keywords: Keywords, names: Names) => Value;

type Given = Value | undefined;

/** A filter of Python's signature; what is left out reaches `run` as undefined. */
export function filter(signature: string, run: (value: Value, ...given: Given[]) => Value): Filter {
  const parameters = new Parameters(`value, ${signature}`);
  return (value, args, keywords) => {
    const [first, ...given] = parameters.bind('the filter', [value, ...args], keywords);
    return run(first!, ...given);
  };
}

export function notSupported(name: string): Filter {
  return () => {
    throw new NotSupported(`the filter ${name}`);
  };
}

/** make_attrgetter: "a.b.0" leads through attributes and places. @param fallback for what is not there */
export function attributeGetter(path: Given, fallback?: Value): (value: Value) => Value {
  const parts = attributeParts(path);
  return (value) => {
    let found = value;
    for (const part of parts) {
      found = getItem(found, part);
      if (fallback !== undefined && fallback !== null && isUndefined(found)) found = fallback;
    }
    return found;
  };
}

/** make_multi_attrgetter: several paths, split by commas. */
export function attributesGetter(paths: Given): (value: Value) => Value[] {
  const split: Given[] = paths !== undefined && isText(paths) ? textOf(paths).split(',') : [paths];
  const getters = split.map((path) => attributeGetter(path));
  return (value) => getters.map((get) => get(value));
}

function attributeParts(path: Given): Value[] {
  if (path === undefined || path === null) return [];
  if (!isText(path)) return [path];
  return textOf(path)
    .split('.')
    .map((part) => (/^[0-9]+$/.test(part) ? BigInt(part) : part));
}

function isUndefined(value: Value): value is Undefined {
  return value instanceof Undefined;
}

/** Texts in lower case, other values as they are: how filters compare unless told otherwise. */
export function ignoreCase(value: Value): Value {
  return isText(value) ? textOf(value).toLowerCase() : value;
}

export function requiredInt(value: Given, fallback: bigint): bigint {
  if (value === undefined) return fallback;
  if (!isInt(value)) throw new TemplateError('an integer is needed');
  return BigInt(value);
}
