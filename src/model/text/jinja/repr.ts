/** str() and repr(). */
import { NotSupported } from './errors.ts';
import { floatRepr } from './floats.ts';
import { checkTextLength, deeper, spend, spendOnLength } from './meter.ts';
import {
  Callable,
  type Dict,
  Markup,
  Namespace,
  Range,
  Special,
  Stream,
  Tuple,
  Undefined,
  type Value,
  View,
} from './value.ts';

/** str(value), which is what `{{ value }}` prints. */
export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return '';
  return repr(value);
}

export function repr(value: Value): string {
  spend(1);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return floatRepr(value);
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Markup) return `Markup(${quoted(value.text)})`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Range) return rangeRepr(value);
  if (value instanceof Special) return value.text();
  if (value instanceof Callable) throw new NotSupported(`printing the function ${value.name}`);
  if (value instanceof Stream) {
    throw new NotSupported('printing a generator (what map, select and their kin give without | list)');
  }
  return deeper(() => {
    if (Array.isArray(value)) return joined('[', value.map(repr), ']');
    if (value instanceof Tuple)
      return joined('(', value.items.map(repr), value.items.length === 1 ? ',)' : ')');
    if (value instanceof View) return joined(`dict_${value.kind}([`, value.items.map(repr), '])');
    if (value instanceof Namespace) return `<Namespace ${repr(value.attributes)}>`;
    return dictRepr(value);
  });
}

function dictRepr(dict: Dict): string {
  return joined(
    '{',
    Array.from(dict.entries(), ([key, value]) => `${repr(key)}: ${repr(value)}`),
    '}',
  );
}

function rangeRepr({ start, stop, step }: Range): string {
  return step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`;
}

function joined(open: string, parts: readonly string[], close: string): string {
  let length = 0;
  for (const part of parts) length += part.length + 2;
  checkTextLength(length);
  spendOnLength(length);
  return `${open}${parts.join(', ')}${close}`;
}

const SHORT: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
/** What str.isprintable denies. */
const HIDDEN = /[\\\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** A text as Python writes it, in single quotes unless it holds only those. */
export function quoted(text: string): string {
  spendOnLength(text.length);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(HIDDEN, (point) => SHORT[point] ?? escaped(point));
  return quote + (quote === "'" ? body.replaceAll("'", "\\'") : body) + quote;
}

/** `\xhh`, `\uhhhh` or `\Uhhhhhhhh` */
export function escaped(point: string): string {
  const code = point.codePointAt(0)!;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
