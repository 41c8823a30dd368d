/** json.dumps, as transformers gives it to templates: other alphabets stay as they are. */

import { sorted } from './compare.ts';
import { TemplateError } from './errors.ts';
import { floatRepr } from './floats.ts';
import { checkTextLength, deeper, spend, spendOnLength } from './meter.ts';
import { Dict, isText, Tuple, textOf, typeName, type Value } from './value.ts';

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** undefined: all on one line */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** @throws TemplateError for what JSON cannot say */
export function toJson(value: Value, style: JsonStyle): string {
  let length = 0;
  const write = (text: string): string => {
    length += text.length;
    checkTextLength(length);
    return text;
  };
  const container = (open: string, parts: string[], close: string, level: number): string => {
    if (parts.length === 0) return write(open + close);
    const { indent, itemSeparator } = style;
    if (indent === undefined) return open + parts.join(itemSeparator) + close;
    const line = `\n${indent.repeat(level + 1)}`;
    length += parts.length * line.length;
    checkTextLength(length);
    return `${open}${line}${parts.join(itemSeparator + line)}\n${indent.repeat(level)}${close}`;
  };
  const dump = (item: Value, level: number): string => {
    spend(1);
    if (item === null) return write('null');
    if (typeof item === 'boolean') return write(String(item));
    if (typeof item === 'bigint') return write(String(item));
    if (typeof item === 'number') return write(jsonFloat(item));
    if (isText(item)) return write(jsonText(textOf(item), style.ensureAscii));
    return deeper(() => {
      if (Array.isArray(item) || item instanceof Tuple) {
        const items = Array.isArray(item) ? item : item.items;
        return container(
          '[',
          items.map((one) => dump(one, level + 1)),
          ']',
          level,
        );
      }
      if (item instanceof Dict) {
        const entries = Array.from(item.entries());
        const keys = style.sortKeys
          ? sorted(
              entries.map(([key]) => key),
              (key) => key,
              false,
            )
          : entries.map(([key]) => key);
        const parts = keys.map((key) => {
          const name = jsonText(jsonKey(key), style.ensureAscii);
          return write(name) + style.keySeparator + dump(item.get(key)!, level + 1);
        });
        return container('{', parts, '}', level);
      }
      throw new TemplateError(`Object of type ${typeName(item)} is not JSON serializable`);
    });
  };
  return dump(value, 0);
}

function jsonKey(key: Value): string {
  if (isText(key)) return textOf(key);
  if (key === null) return 'null';
  if (typeof key === 'boolean' || typeof key === 'bigint') return String(key);
  if (typeof key === 'number') return jsonFloat(key);
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return floatRepr(value);
}

const SHORT: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\f': '\\f',
  '\b': '\\b',
};

function jsonText(text: string, ensureAscii: boolean): string {
  spendOnLength(text.length);
  const hex = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // \p{Cc} has DEL and the C1 controls too, which JSON leaves alone.
  const body = text.replace(/[\p{Cc}"\\]/gu, (unit) => SHORT[unit] ?? (unit < ' ' ? hex(unit) : unit));
  return `"${ensureAscii ? body.replace(/[^\p{ASCII}]/gu, (point) => point.replace(/[\s\S]/g, hex)) : body}"`;
}
