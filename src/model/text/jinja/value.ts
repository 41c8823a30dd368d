/**
 * Values as Python has them. JavaScript's own stand for what they can tell apart: str is string, bool is boolean, None is null, int is
 * bigint, float is number, list is an array. The rest are the classes below.
 */
import { NotSupported, TemplateError } from './errors.ts';
import { checkTextLength, deeper } from './meter.ts';
import type { Parameters } from './parameters.ts';

export type Value =
  | string
  | boolean
  | null
  | bigint
  | number
  | Value[]
  | Undefined
  | Tuple
  | Dict
  | View
  | Range
  | Stream
  | Markup
  | Namespace
  | Callable
  | Special;

/** A name or attribute that is not there: it prints as nothing, and anything else done with it fails with `problem`. */
export class Undefined {
  readonly problem: string;
  constructor(problem: string) {
    this.problem = problem;
  }
}

export class Tuple {
  readonly items: readonly Value[];
  /** Names of the places, for what `groupby` gives. */
  readonly names: readonly string[];
  constructor(items: readonly Value[], names: readonly string[] = []) {
    this.items = items;
    this.names = names;
  }
}

export class Dict {
  private readonly entriesByKey = new Map<string, [key: Value, value: Value]>();

  static of(entries: Iterable<readonly [Value, Value]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }
  get size(): number {
    return this.entriesByKey.size;
  }
  /** @throws TemplateError for a key that cannot be one */
  set(key: Value, value: Value): void {
    const id = keyOf(key);
    // As in Python, the first of equal keys (1, 1.0, True) stays.
    this.entriesByKey.set(id, [this.entriesByKey.get(id)?.[0] ?? key, value]);
  }
  get(key: Value): Value | undefined {
    return this.entriesByKey.get(keyOf(key))?.[1];
  }
  has(key: Value): boolean {
    return this.entriesByKey.has(keyOf(key));
  }
  keys(): Value[] {
    return Array.from(this.entriesByKey.values(), ([key]) => key);
  }
  values(): Value[] {
    return Array.from(this.entriesByKey.values(), ([, value]) => value);
  }
  entries(): IterableIterator<[Value, Value]> {
    return this.entriesByKey.values();
  }
}

/** dict.keys(), dict.values(), dict.items() */
export class View {
  readonly kind: 'keys' | 'values' | 'items';
  readonly dict: Dict;
  constructor(kind: View['kind'], dict: Dict) {
    this.kind = kind;
    this.dict = dict;
  }
  get items(): Value[] {
    if (this.kind === 'items') return Array.from(this.dict.entries(), (entry) => new Tuple([...entry]));
    return this.dict[this.kind]();
  }
}

export class Range {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly length: number;
  constructor(start: number, stop: number, step: number) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }
  at(index: number): bigint {
    return BigInt(this.start + index * this.step);
  }
}

/** A generator or iterator: read once, then empty; true even when empty. */
export class Stream {
  private readonly source: Iterator<Value>;
  constructor(source: Iterable<Value>) {
    this.source = source[Symbol.iterator]();
  }
  /** @returns undefined at the end */
  next(): Value | undefined {
    const { done, value } = this.source.next();
    return done ? undefined : value;
  }
}

/** A text marked as safe HTML: other text joined to it is escaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export class Namespace {
  readonly attributes: Dict;
  constructor(attributes: Dict) {
    this.attributes = attributes;
  }
}

export type Arguments = readonly Value[];
export type Keywords = ReadonlyMap<string, Value>;

/** A function, method or macro. */
export class Callable {
  readonly name: string;
  readonly call: (args: Arguments, keywords: Keywords) => Value;
  constructor(name: string, call: (args: Arguments, keywords: Keywords) => Value) {
    this.name = name;
    this.call = call;
  }
  /** A function of Python's signature; what is left out reaches `run` as undefined. */
  static with(
    name: string,
    parameters: Parameters,
    run: (...values: (Value | undefined)[]) => Value,
  ): Callable {
    return new Callable(name, (args, keywords) => run(...parameters.bind(name, args, keywords)));
  }
}

/** Objects of the template language itself: the `loop` variable and macros. */
export abstract class Special {
  abstract readonly type: string;
  /** How it prints. */
  abstract text(): string;
  abstract attribute(name: string): Value | undefined;
  abstract call(args: Arguments, keywords: Keywords): Value;
  /** undefined when it has none */
  length(): number | undefined {
    return undefined;
  }
}

/** For `found ?? fallback`, which takes None for nothing. */
export function orElse<T extends Value>(found: Value | undefined, fallback: T): Value {
  return found === undefined ? fallback : found;
}

/** A number that counts: an int, or a bool, which is one in Python. */
export function isInt(value: Value): value is bigint | boolean {
  return typeof value === 'bigint' || typeof value === 'boolean';
}

export function isNumber(value: Value): value is bigint | boolean | number {
  return typeof value === 'number' || isInt(value);
}

export function isText(value: Value): value is string | Markup {
  return typeof value === 'string' || value instanceof Markup;
}

export function textOf(value: string | Markup): string {
  return typeof value === 'string' ? value : value.text;
}

/** Python's name of the type, for messages. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'float';
  if (Array.isArray(value)) return 'list';
  if (value instanceof View) return `dict_${value.kind}`;
  if (value instanceof Special) return value.type;
  return value.constructor.name.replace(/^(Tuple|Dict|Range)$/, (name) => name.toLowerCase());
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === 'bigint') return value !== 0n;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'boolean') return value;
  return lengthOf(value) !== 0;
}

/** Python's len, undefined for what has none. Texts: in code points. */
export function lengthOf(value: Value): number | undefined {
  if (typeof value === 'string') return codePointCount(value);
  if (value instanceof Markup) return codePointCount(value.text);
  if (Array.isArray(value) || value instanceof Range) return value.length;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof View) return value.dict.size;
  if (value instanceof Undefined) return 0;
  if (value instanceof Special) return value.length();
  return undefined;
}

/** @throws TemplateError where Python has no len */
export function requiredLength(value: Value): number {
  const length = lengthOf(value);
  if (length === undefined) throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  return length;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Whether a code point may be two code units here. */
export function hasPairs(text: string): boolean {
  return SURROGATE.test(text);
}

function codePointCount(text: string): number {
  if (!hasPairs(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/**
 * A text that is the same for keys that are equal in Python: 1, 1.0 and True are one key.
 * @throws TemplateError for what cannot be a key
 */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return `s${value}`;
  if (value instanceof Markup) return `s${value.text}`;
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'n1' : 'n0';
  if (typeof value === 'bigint') return `n${value}`;
  if (typeof value === 'number') return Number.isInteger(value) ? `n${BigInt(value)}` : `n${value}`;
  if (value instanceof Undefined) return 'undefined';
  if (value instanceof Tuple) {
    const key = deeper(() => value.items.map(keyOf).map((item) => `${item.length}:${item}`)).join('');
    checkTextLength(key.length);
    return `t${key}`;
  }
  const type = typeName(value);
  if (type === 'list' || type === 'dict') throw new TemplateError(`unhashable type: '${type}'`);
  throw new NotSupported(`a ${type} as a key`);
}
