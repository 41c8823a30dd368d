/** What stands behind `is`. */
import { binary } from './arithmetic.ts';
import { contains, equal, order } from './compare.ts';
import { NotSupported, TemplateError } from './errors.ts';
import type { Names } from './filter.ts';
import { isIterable } from './iterate.ts';
import { Parameters } from './parameters.ts';
import { str } from './repr.ts';
import { TEXT_METHODS } from './text-methods.ts';
import {
  type Arguments,
  Callable,
  Dict,
  isInt,
  isNumber,
  isText,
  type Keywords,
  keyOf,
  Markup,
  Range,
  Special,
  Tuple,
  textOf,
  Undefined,
  type Value,
} from './value.ts';

type Test = (value: Value, args: Arguments, keywords: Keywords, names: Names) => boolean;

const ALONE = new Parameters('value');
const alone =
  (holds: (value: Value, names: Names) => boolean): Test =>
  (value, args, keywords, names) => {
    ALONE.bind('the test', [value, ...args], keywords);
    return holds(value, names);
  };
const PAIR = new Parameters('a, b, /');
const pair =
  (holds: (a: Value, b: Value) => boolean, parameters = PAIR): Test =>
  (value, args, keywords) => {
    const [, other] = parameters.bind('the test', [value, ...args], keywords);
    return holds(value, other!);
  };
const ordered = (holds: (found: number) => boolean) => pair((a, b) => holds(order(a, b)));
const remainder = (value: Value, by: Value) => binary('%', value, by);

const eq = pair(equal);
const ne = pair((a, b) => !equal(a, b));
const gt = ordered((found) => found > 0);
const ge = ordered((found) => found >= 0);
const lt = ordered((found) => found < 0);
const le = ordered((found) => found <= 0);

export const TESTS: Readonly<Record<string, Test>> = {
  odd: alone((value) => equal(remainder(value, 2n), 1n)),
  even: alone((value) => equal(remainder(value, 2n), 0n)),
  divisibleby: pair((value, by) => equal(remainder(value, by), 0n), new Parameters('value, num')),
  defined: alone((value) => !(value instanceof Undefined)),
  undefined: alone((value) => value instanceof Undefined),
  filter: alone((value, names) => isKey(value) && isText(value) && names.hasFilter(textOf(value))),
  test: alone((value, names) => isKey(value) && isText(value) && names.hasTest(textOf(value))),
  none: alone((value) => value === null),
  boolean: alone((value) => typeof value === 'boolean'),
  false: alone((value) => value === false),
  true: alone((value) => value === true),
  integer: alone((value) => typeof value === 'bigint'),
  float: alone((value) => typeof value === 'number'),
  lower: alone((value) => TEXT_METHODS.islower!.run(str(value)) === true),
  upper: alone((value) => TEXT_METHODS.isupper!.run(str(value)) === true),
  string: alone(isText),
  mapping: alone((value) => value instanceof Dict),
  number: alone(isNumber),
  sequence: alone(
    (value) =>
      isText(value) ||
      Array.isArray(value) ||
      value instanceof Tuple ||
      value instanceof Dict ||
      value instanceof Range ||
      value instanceof Undefined,
  ),
  iterable: alone(isIterable),
  callable: alone(
    (value) => value instanceof Callable || value instanceof Special || value instanceof Undefined,
  ),
  sameas: pair(same, new Parameters('value, other')),
  escaped: alone((value) => value instanceof Markup),
  in: pair((value, container) => contains(container, value), new Parameters('value, seq')),
  '==': eq,
  eq,
  equalto: eq,
  '!=': ne,
  ne,
  '>': gt,
  gt,
  greaterthan: gt,
  '>=': ge,
  ge,
  '<': lt,
  lt,
  lessthan: lt,
  '<=': le,
  le,
};

/** @throws TemplateError for what could not be looked up */
function isKey(value: Value): boolean {
  return keyOf(value) !== '';
}

/** `is`: which equal texts and numbers are one object in Python is a matter of its caches. */
function same(a: Value, b: Value): boolean {
  if (a === null || b === null || typeof a === 'boolean' || typeof b === 'boolean') return a === b;
  const comparable = (value: Value) =>
    isText(value) || isInt(value) || typeof value === 'number' || value instanceof Tuple;
  if (comparable(a) && comparable(b) && equal(a, b)) throw new NotSupported('sameas on texts and numbers');
  return a === b;
}

export function requireName<T>(table: Readonly<Record<string, T>>, kind: string, name: string): T {
  if (!Object.hasOwn(table, name)) throw new TemplateError(`No ${kind} named '${name}' found.`);
  return table[name]!;
}
