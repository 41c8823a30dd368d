import { MAX_TEMPLATE_RANGE } from '../../../config/limits.ts';
import { NotSupported, TemplateError } from './errors.ts';
import { escapeHtml } from './html.ts';
import { checkTextLength, spendOnLength } from './meter.ts';
import { toFloat } from './numbers.ts';
import { percentFormat } from './percent-format.ts';
import { isInt, isNumber, isText, Markup, Tuple, textOf, typeName, Undefined, type Value } from './value.ts';

/** The largest int: Python prints none with more digits. */
const MAX_INT = 10n ** 4300n;
/** What counts or indexes in Python. */
const MAX_INDEX = 2n ** 63n - 1n;
/** Below this, a float holds every int. */
const EXACT = 2n ** 53n;

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

/** @throws TemplateError where Python has no such operation, and for results that are too large */
export function binary(operator: Operator, a: Value, b: Value): Value {
  if (isNumber(a) && isNumber(b)) {
    if (isInt(a) && isInt(b)) return boundedInt(onInts(operator, BigInt(a), BigInt(b)));
    return onFloats(operator, toFloat(a), toFloat(b));
  }
  if (operator === '%' && typeof a === 'string') return percentFormat(a, b);
  if (operator === '%' && a instanceof Markup) throw new NotSupported('% on escaped text');
  for (const value of [a, b]) if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (operator === '+') {
    if (isText(a) && isText(b)) return addTexts(a, b);
    if (Array.isArray(a) && Array.isArray(b)) return checkedItems([...a, ...b]);
    if (a instanceof Tuple && b instanceof Tuple) return new Tuple(checkedItems([...a.items, ...b.items]));
  }
  if (operator === '*') {
    if (isInt(b)) return repeated(a, BigInt(b)) ?? unsupported(operator, a, b);
    if (isInt(a)) return repeated(b, BigInt(a)) ?? unsupported(operator, a, b);
  }
  return unsupported(operator, a, b);
}

function unsupported(operator: string, a: Value, b: Value): never {
  throw new TemplateError(`'${typeName(a)}' ${operator} '${typeName(b)}' is not defined`);
}

function addTexts(a: string | Markup, b: string | Markup): Value {
  checkTextLength(textOf(a).length + textOf(b).length);
  spendOnLength(textOf(a).length + textOf(b).length);
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  return new Markup(escapeHtml(a).text + escapeHtml(b).text);
}

function checkedItems(items: Value[]): Value[] {
  if (items.length > MAX_TEMPLATE_RANGE) {
    throw new TemplateError(
      `it makes a list of ${items.length} items, at most ${MAX_TEMPLATE_RANGE} are made`,
    );
  }
  spendOnLength(items.length * 4);
  return items;
}

function repeated(value: Value, times: bigint): Value | undefined {
  const size = isText(value)
    ? textOf(value).length
    : Array.isArray(value)
      ? value.length
      : value instanceof Tuple
        ? value.items.length
        : undefined;
  if (size === undefined) return undefined;
  if (times > MAX_INDEX || times < -MAX_INDEX)
    throw new TemplateError("cannot fit 'int' into an index-sized integer");
  const count = times < 0n ? 0n : times;
  const length = BigInt(size) * count;
  if (isText(value)) {
    checkTextLength(Number(length));
    spendOnLength(Number(length));
    const text = length === 0n ? '' : textOf(value).repeat(Number(count));
    return typeof value === 'string' ? text : new Markup(text);
  }
  if (length > MAX_TEMPLATE_RANGE) {
    throw new TemplateError(`it makes a list of ${length} items, at most ${MAX_TEMPLATE_RANGE} are made`);
  }
  const items = Array.isArray(value) ? value : (value as Tuple).items;
  const all = Array.from({ length: Number(length) }, (_, index) => items[index % size]!);
  spendOnLength(all.length * 4);
  return Array.isArray(value) ? all : new Tuple(all);
}

function onInts(operator: Operator, a: bigint, b: bigint): bigint | number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      if (b === 0n) throw new TemplateError('division by zero');
      if (a > EXACT || -a > EXACT || b > EXACT || -b > EXACT)
        throw new NotSupported('dividing large integers');
      return Number(a) / Number(b);
    case '//': {
      if (b === 0n) throw new TemplateError('integer division or modulo by zero');
      return (a - moduloInt(a, b)) / b;
    }
    case '%':
      if (b === 0n) throw new TemplateError('integer division or modulo by zero');
      return moduloInt(a, b);
    case '**':
      return powerInt(a, b);
    default:
      return operator satisfies never;
  }
}

function moduloInt(a: bigint, b: bigint): bigint {
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

function powerInt(a: bigint, b: bigint): bigint | number {
  if (b < 0n) return onFloats('**', toFloat(a), toFloat(b));
  const size = BigInt(a.toString(2).length);
  if (a !== 0n && a !== 1n && a !== -1n && size * b > 20_000n)
    throw new NotSupported('an integer this large');
  return a ** b;
}

function onFloats(operator: Operator, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      if (b === 0) throw new TemplateError('float division by zero');
      return a / b;
    case '//':
      return floorFloats(a, b);
    case '%':
      if (b === 0) throw new TemplateError('float modulo');
      return moduloFloats(a, b);
    case '**':
      return powerFloats(a, b);
    default:
      return operator satisfies never;
  }
}

function moduloFloats(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

/** As CPython's float_floor_div: exact where a / b would round up to the next integer. */
function floorFloats(a: number, b: number): number {
  if (b === 0) throw new TemplateError('float floor division by zero');
  const rest = a % b;
  const exact = (a - rest) / b - (rest !== 0 && rest < 0 !== b < 0 ? 1 : 0);
  if (exact === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(exact);
  return exact - floor > 0.5 ? floor + 1 : floor;
}

function powerFloats(a: number, b: number): number {
  if (a === 0 && b < 0) throw new TemplateError('0.0 cannot be raised to a negative power');
  if (a < 0 && Number.isFinite(b) && !Number.isInteger(b)) throw new NotSupported('a complex number');
  // Python: 1 ** nan is 1.
  const result = a === 1 ? 1 : a ** b;
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) {
    throw new TemplateError('Numerical result out of range');
  }
  return result;
}

/** -value, +value */
export function unary(operator: '-' | '+', value: Value): Value {
  if (isInt(value)) return operator === '-' ? -BigInt(value) : BigInt(value);
  if (typeof value === 'number') return operator === '-' ? -value : value;
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  throw new TemplateError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
}

function boundedInt(value: bigint | number): bigint | number {
  if (typeof value === 'bigint' && (value >= MAX_INT || value <= -MAX_INT)) {
    throw new NotSupported('an integer this large');
  }
  return value;
}
