import { NotSupported, TemplateError } from './errors.ts';
import { spend, spendOnLength } from './meter.ts';
import { points } from './python-text.ts';
import {
  Dict,
  isText,
  Range,
  Special,
  Stream,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from './value.ts';

/** What Python's `for` walks through. @throws TemplateError at once for what cannot be iterated */
export function each(value: Value): Iterable<Value> {
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (isText(value)) return points(textOf(value));
  if (value instanceof Dict) return value.keys();
  if (value instanceof View) return value.items;
  if (value instanceof Range) return numbers(value);
  if (value instanceof Stream) return rest(value);
  if (value instanceof Undefined) return [];
  if (value instanceof Special && value.length() !== undefined) {
    throw new NotSupported(`iterating over ${value.text()}`);
  }
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

function* numbers(range: Range): Iterable<Value> {
  for (let index = 0; index < range.length; index++) yield range.at(index);
}

function* rest(stream: Stream): Iterable<Value> {
  for (let item = stream.next(); item !== undefined; item = stream.next()) {
    spend(1);
    yield item;
  }
}

/** list(value) */
export function listOf(value: Value): Value[] {
  const items = Array.from(each(value));
  spendOnLength(items.length * 16);
  return items;
}

export function isIterable(value: Value): boolean {
  try {
    each(value);
    return true;
  } catch (cause) {
    if (cause instanceof NotSupported) return true;
    if (cause instanceof TemplateError) return false;
    throw cause;
  }
}
