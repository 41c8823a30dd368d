import { NotSupported, TemplateError } from './errors.ts';
import { each } from './iterate.ts';
import { deeper, spend, spendOnLength, spendOnSearch } from './meter.ts';
import { compareTexts } from './python-text.ts';
import {
  Dict,
  isNumber,
  isText,
  keyOf,
  Namespace,
  Range,
  Special,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from './value.ts';

/** a == b */
export function equal(a: Value, b: Value): boolean {
  spend(1);
  if (isText(a) && isText(b)) {
    spendOnLength(Math.min(textOf(a).length, textOf(b).length));
    return textOf(a) === textOf(b);
  }
  if (isNumber(a) && isNumber(b)) return sameNumber(numeric(a), numeric(b));
  if (a instanceof Undefined) return b instanceof Undefined;
  if (Array.isArray(a) && Array.isArray(b)) return sameItems(a, b);
  if (a instanceof Tuple && b instanceof Tuple) return sameItems(a.items, b.items);
  if (a instanceof Range && b instanceof Range) {
    return (
      a.length === b.length &&
      (a.length === 0 || (a.start === b.start && (a.length === 1 || a.step === b.step)))
    );
  }
  if (a instanceof Dict && b instanceof Dict) {
    if (a.size !== b.size) return false;
    return deeper(() =>
      Array.from(a.entries()).every(([key, value]) => {
        const other = b.get(key);
        return other !== undefined && equal(value, other);
      }),
    );
  }
  if (a instanceof View && b instanceof View && a !== b) throw new NotSupported('comparing views of dicts');
  return a === b;
}

function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  if (a.length !== b.length) return false;
  if (a === b) return true;
  return deeper(() => a.every((item, index) => equal(item, b[index]!)));
}

/** Across ints and floats, exactly. */
function sameNumber(a: bigint | number, b: bigint | number): boolean {
  return a <= b && a >= b;
}

function numeric(value: bigint | boolean | number): bigint | number {
  return typeof value === 'boolean' ? (value ? 1n : 0n) : value;
}

/** Below zero where a < b, above where a > b. @throws TemplateError where Python has no order */
export function order(a: Value, b: Value): number {
  spend(1);
  if (isText(a) && isText(b)) {
    spendOnLength(Math.min(textOf(a).length, textOf(b).length));
    return compareTexts(textOf(a), textOf(b));
  }
  if (isNumber(a) && isNumber(b)) {
    const [left, right] = [numeric(a), numeric(b)];
    return left < right ? -1 : left > right ? 1 : sameNumber(left, right) ? 0 : Number.NaN;
  }
  if (Array.isArray(a) && Array.isArray(b)) return orderItems(a, b);
  if (a instanceof Tuple && b instanceof Tuple) return orderItems(a.items, b.items);
  for (const value of [a, b]) if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (a instanceof View && b instanceof View) throw new NotSupported('comparing views of dicts');
  throw new TemplateError(`'${typeName(a)}' and '${typeName(b)}' have no order`);
}

function orderItems(a: readonly Value[], b: readonly Value[]): number {
  return deeper(() => {
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      if (!equal(a[index]!, b[index]!)) return order(a[index]!, b[index]!);
    }
    return a.length - b.length;
  });
}

/** wanted in container */
export function contains(container: Value, wanted: Value): boolean {
  if (isText(container)) {
    if (!isText(wanted)) {
      throw new TemplateError(`'in <string>' needs a text on its left, not ${typeName(wanted)}`);
    }
    spendOnSearch(textOf(container), textOf(wanted));
    return textOf(container).includes(textOf(wanted));
  }
  if (container instanceof Dict) return container.has(wanted);
  if (container instanceof View && container.kind === 'keys') return container.dict.has(wanted);
  if (container instanceof Undefined) return false;
  if (container instanceof Namespace || (container instanceof Special && container.length() === undefined)) {
    throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`);
  }
  for (const item of each(container)) if (item === wanted || equal(item, wanted)) return true;
  return false;
}

/** Python's sorted: stable; equal keys keep their order, reversed or not. */
export function sorted(values: readonly Value[], keyFor: (value: Value) => Value, reverse: boolean): Value[] {
  const keyed = values.map((value) => ({ value, key: keyFor(value) }));
  keyed.sort((a, b) => {
    const found = order(a.key, b.key);
    if (Number.isNaN(found)) throw new NotSupported('sorting nan');
    return reverse ? -found : found;
  });
  // A single value is never compared, and Python does not look at it either.
  return keyed.map(({ value }) => value);
}

/** Whether an equal value was seen before; remembers it. @throws TemplateError for what has no hash */
export function createSeen(): (value: Value) => boolean {
  const keys = new Set<string>();
  return (value) => {
    const key = keyOf(value);
    if (keys.has(key)) return true;
    keys.add(key);
    return false;
  };
}
