/** str.format and str.format_map, in the sandbox: fields reach what `a.b` and `a[b]` reach in a template. */
import { NotSupported, TemplateError } from './errors.ts';
import { formatWith } from './format-spec.ts';
import { checkTextLength, spendOnLength } from './meter.ts';
import { escaped, repr, str } from './repr.ts';
import { type Arguments, Callable, Dict, type Value } from './value.ts';

export interface Access {
  getAttribute(object: Value, name: string): Value;
  getItem(object: Value, key: Value): Value;
}

const MAX_NESTING = 2;

export function strFormat(text: string, name: 'format' | 'format_map', access: Access): Callable {
  return new Callable(name, (args, keywords) => {
    if (name === 'format') return format(text, args, Dict.of(keywords), access, numbering(), MAX_NESTING);
    const [mapping] = args;
    if (keywords.size > 0 || args.length !== 1)
      throw new TemplateError('format_map() takes exactly one argument');
    if (!(mapping instanceof Dict)) throw new NotSupported('format_map() of anything but a dict');
    return format(text, [], mapping, access, numbering(), MAX_NESTING);
  });
}

/** Fields are numbered all by hand or all by themselves. */
function numbering(): (written: string) => number {
  let next = 0;
  let byHand: boolean | undefined;
  return (written) => {
    const isWritten = written !== '';
    if (byHand !== undefined && byHand !== isWritten) {
      throw new TemplateError('cannot switch between manual and automatic field numbering');
    }
    byHand = isWritten;
    return isWritten ? Number(written) : next++;
  };
}

type Numbering = ReturnType<typeof numbering>;

function format(
  text: string,
  args: Arguments,
  names: Dict,
  access: Access,
  number: Numbering,
  nesting: number,
): string {
  if (nesting === 0) throw new TemplateError('Max string recursion exceeded');
  spendOnLength(text.length);
  let out = '';
  let at = 0;
  while (at < text.length) {
    const brace = /[{}]/g;
    brace.lastIndex = at;
    const found = brace.exec(text);
    if (found === null) break;
    out += text.slice(at, found.index);
    at = found.index + 1;
    if (text[at] === found[0]) {
      out += found[0];
      at++;
      continue;
    }
    if (found[0] === '}') throw new TemplateError("Single '}' encountered in format string");
    const end = closing(text, at);
    out += field(text.slice(at, end), args, names, access, number, nesting);
    checkTextLength(out.length);
    at = end + 1;
  }
  return out + text.slice(at);
}

function closing(text: string, start: number): number {
  let open = 1;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '[' && open === 1) {
      const close = text.indexOf(']', at);
      if (close !== -1 && !/[{}:!]/.test(text.slice(start, at))) at = close;
    } else if (text[at] === '{') open++;
    else if (text[at] === '}' && --open === 0) return at;
  }
  throw new TemplateError("expected '}' before end of string");
}

function field(
  written: string,
  args: Arguments,
  names: Dict,
  access: Access,
  number: Numbering,
  nesting: number,
): string {
  const match = /^((?:\[[^\]]*\]|[^!:[{}])*)(?:!([\s\S]?))?(?::([\s\S]*))?$/.exec(written);
  if (match === null) throw new TemplateError('the format field cannot be read');
  const [, name = '', conversion, spec = ''] = match;
  const [, first = '', path = ''] = /^([^.[]*)([\s\S]*)$/.exec(name)!;
  let value: Value | undefined;
  if (/^\d*$/.test(first)) value = args[number(first)];
  else value = names.get(first);
  if (value === undefined) throw new TemplateError(`there is no value for the field '${first}'`);
  for (const [whole, attributeName, index] of path.matchAll(/\.([^.[]+)|\[([^\]]+)\]|[\s\S]/g)) {
    if (attributeName !== undefined) value = access.getAttribute(value, attributeName);
    else if (index !== undefined) value = access.getItem(value, /^\d+$/.test(index) ? BigInt(index) : index);
    else throw new TemplateError(`the format field cannot be read at '${whole}'`);
  }
  const inner =
    spec.includes('{') || spec.includes('}') ? format(spec, args, names, access, number, nesting - 1) : spec;
  return formatWith(converted(value, conversion), inner);
}

function converted(value: Value, conversion: string | undefined): Value {
  if (conversion === undefined) return value;
  if (conversion === 's') return str(value);
  if (conversion === 'r') return repr(value);
  if (conversion === 'a') return repr(value).replace(/\P{ASCII}/gu, escaped);
  throw new TemplateError(`Unknown conversion specifier ${conversion}`);
}
