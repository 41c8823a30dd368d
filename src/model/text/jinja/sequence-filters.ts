/** Filters on lists, dicts and whatever can be iterated. */

import { MAX_TEMPLATE_RANGE } from '../../../config/limits.ts';
import { attribute, getAttribute } from './access.ts';
import { binary } from './arithmetic.ts';
import { createSeen, equal, order, sorted } from './compare.ts';
import { NotSupported, TemplateError } from './errors.ts';
import { attributeGetter, attributesGetter, type Filter, filter, ignoreCase, type Names } from './filter.ts';
import { each, listOf } from './iterate.ts';
import { spend } from './meter.ts';
import { points } from './python-text.ts';
import { str } from './repr.ts';
import { intArgument, joinTexts } from './text-methods.ts';
import {
  type Arguments,
  Dict,
  isText,
  isTrue,
  type Keywords,
  orElse,
  Range,
  requiredLength,
  Stream,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from './value.ts';

const length = filter('', (value) => BigInt(requiredLength(value)));
const useDefault = filter('default_value=, boolean=', (value, otherwise = '', boolean = false) =>
  value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? otherwise : value,
);

export const SEQUENCE_FILTERS: Readonly<Record<string, Filter>> = {
  attr: filter('name', (value, name) => {
    if (!isText(name!)) throw new TemplateError('attribute name must be string');
    const found = attribute(value, textOf(name));
    return found === undefined
      ? new Undefined(`it has no attribute '${textOf(name)}'`)
      : getAttribute(value, textOf(name));
  }),
  batch: filter('linecount, fill_with=', (value, count, fill) => new Stream(batches(value, count!, fill))),
  count: length,
  d: useDefault,
  default: useDefault,
  dictsort: filter('case_sensitive=, by=, reverse=', dictSort),
  first: filter('', (value) => {
    if (value instanceof Stream)
      return orElse(value.next(), new Undefined('No first item, sequence was empty.'));
    for (const item of each(value)) return item;
    return new Undefined('No first item, sequence was empty.');
  }),
  groupby: filter('attribute, default=, case_sensitive=', groupBy),
  items: filter('', (value) => new Stream(itemsOf(value))),
  join: filter('d=, attribute=', (value, separator = '', path) => {
    const get = attributeGetter(path);
    const texts = (function* () {
      for (const item of each(value)) yield str(get(item));
    })();
    return joinTexts(str(separator), texts);
  }),
  last: filter('', (value) => orElse(reversed(value)[0], new Undefined('No last item, sequence was empty.'))),
  length,
  list: filter('', listOf),
  map: (value, args, keywords, names) => new Stream(mapped(value, args, keywords, names)),
  max: filter('case_sensitive=, attribute=', (value, sensitive, path) => extreme(value, sensitive, path, 1)),
  min: filter('case_sensitive=, attribute=', (value, sensitive, path) => extreme(value, sensitive, path, -1)),
  random: () => {
    throw new NotSupported('the filter random');
  },
  reject: (value, args, keywords, names) => new Stream(selected(value, args, keywords, names, false, false)),
  rejectattr: (value, args, keywords, names) =>
    new Stream(selected(value, args, keywords, names, true, false)),
  reverse: filter('', (value) => {
    if (typeof value === 'string') return joinTexts('', points(value).reverse());
    if (isText(value)) throw new NotSupported('reverse on escaped text');
    if (value instanceof Stream) return listOf(value).reverse();
    return new Stream(reversed(value));
  }),
  select: (value, args, keywords, names) => new Stream(selected(value, args, keywords, names, false, true)),
  selectattr: (value, args, keywords, names) =>
    new Stream(selected(value, args, keywords, names, true, true)),
  slice: filter('slices, fill_with=', (value, slices, fill) => new Stream(slicesOf(value, slices!, fill))),
  sort: filter(
    'reverse=, case_sensitive=, attribute=',
    (value, reverse = false, sensitive = false, path = null) => {
      const get = attributesGetter(path);
      const key = (item: Value) => (isTrue(sensitive) ? get(item) : get(item).map(ignoreCase));
      return sorted(listOf(value), key, intArgument(reverse, 0) !== 0);
    },
  ),
  sum: filter('attribute=, start=', (value, path, start = 0n) => {
    if (isText(start)) throw new TemplateError("sum() can't sum strings");
    const get = attributeGetter(path);
    let total: Value = start;
    for (const item of each(value)) total = binary('+', total, get(item));
    return total;
  }),
  unique: filter(
    'case_sensitive=, attribute=',
    (value, sensitive, path) => new Stream(unique(value, sensitive, path)),
  ),
};

function reversed(value: Value): Value[] {
  if (value instanceof Undefined) return [];
  const ordered =
    isText(value) ||
    Array.isArray(value) ||
    value instanceof Tuple ||
    value instanceof Dict ||
    value instanceof View ||
    value instanceof Range;
  if (!ordered) throw new TemplateError(`'${typeName(value)}' object is not reversible`);
  return listOf(value).reverse();
}

function* itemsOf(value: Value): Iterable<Value> {
  if (value instanceof Undefined) return;
  if (!(value instanceof Dict)) throw new TemplateError('Can only get item pairs from a mapping.');
  for (const entry of value.entries()) yield new Tuple([...entry]);
}

function* batches(value: Value, count: Value, fill: Value = null): Iterable<Value> {
  let batch: Value[] = [];
  for (const item of each(value)) {
    if (equal(BigInt(batch.length), count)) {
      yield batch;
      batch = [];
    }
    batch.push(item);
  }
  if (batch.length === 0) return;
  if (fill !== null && order(BigInt(batch.length), count) < 0) {
    const missing = intArgument(count, 0) - batch.length;
    if (missing > MAX_TEMPLATE_RANGE)
      throw new TemplateError(
        `a batch of ${missing} items is asked for, at most ${MAX_TEMPLATE_RANGE} are made`,
      );
    batch.push(...Array.from({ length: missing }, () => fill));
  }
  yield batch;
}

function* slicesOf(value: Value, slices: Value, fill: Value = null): Iterable<Value> {
  const items = listOf(value);
  const count = intArgument(slices, 0);
  if (count === 0) throw new TemplateError('integer division or modulo by zero');
  if (count > MAX_TEMPLATE_RANGE)
    throw new TemplateError(`${count} slices are asked for, at most ${MAX_TEMPLATE_RANGE} are made`);
  const size = Math.floor(items.length / count);
  const larger = items.length % count;
  let start = 0;
  for (let index = 0; index < count; index++) {
    const end = start + size + (index < larger ? 1 : 0);
    const slice = items.slice(start, end);
    if (fill !== null && index >= larger) slice.push(fill);
    yield slice;
    start = end;
  }
}

function dictSort(value: Value, sensitive: Value = false, by: Value = 'key', reverse: Value = false): Value {
  const place = isText(by) ? ['key', 'value'].indexOf(textOf(by)) : -1;
  if (place === -1) throw new TemplateError('You can only sort by either "key" or "value"');
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (!(value instanceof Dict))
    throw new TemplateError(`'${typeName(value)}' object has no attribute 'items'`);
  const entries = Array.from(value.entries(), (entry) => new Tuple([...entry]));
  const key = (entry: Value) => {
    const part = (entry as Tuple).items[place]!;
    return isTrue(sensitive) ? part : ignoreCase(part);
  };
  return sorted(entries, key, intArgument(reverse, 0) !== 0);
}

function groupBy(
  value: Value,
  path: Value | undefined,
  fallback: Value = null,
  sensitive: Value = false,
): Value {
  const get = attributeGetter(path, fallback);
  const key = (item: Value) => (isTrue(sensitive) ? get(item) : ignoreCase(get(item)));
  const groups: Value[][] = [];
  let last: Value | undefined;
  for (const item of sorted(listOf(value), key, false)) {
    const found = key(item);
    if (last !== undefined && equal(last, found)) groups.at(-1)!.push(item);
    else groups.push([item]);
    last = found;
  }
  // The key as its first item has it, not in lower case.
  return groups.map((group) => new Tuple([get(group[0]!), group], ['grouper', 'list']));
}

function* mapped(value: Value, args: Arguments, keywords: Keywords, names: Names): Iterable<Value> {
  if (!isTrue(value)) return;
  let apply: (item: Value) => Value;
  if (args.length === 0 && keywords.has('attribute')) {
    for (const name of keywords.keys()) {
      if (name !== 'attribute' && name !== 'default')
        throw new TemplateError(`Unexpected keyword argument '${name}'`);
    }
    apply = attributeGetter(keywords.get('attribute'), keywords.get('default'));
  } else {
    const [name, ...rest] = args;
    if (name === undefined) throw new TemplateError('map requires a filter argument');
    apply = (item) => names.filter(nameText(name), item, rest, keywords);
  }
  for (const item of each(value)) yield apply(item);
}

function* selected(
  value: Value,
  args: Arguments,
  keywords: Keywords,
  names: Names,
  byAttribute: boolean,
  wanted: boolean,
): Iterable<Value> {
  if (!isTrue(value)) return;
  if (byAttribute && args.length === 0) throw new TemplateError('Missing parameter for attribute name');
  const get = byAttribute ? attributeGetter(args[0]) : (item: Value) => item;
  const [name, ...rest] = args.slice(byAttribute ? 1 : 0);
  for (const item of each(value)) {
    spend(1);
    const found = get(item);
    const holds = name === undefined ? isTrue(found) : names.test(nameText(name), found, rest, keywords);
    if (holds === wanted) yield item;
  }
}

function nameText(name: Value): string {
  if (!isText(name)) throw new TemplateError('a filter or test is given by its name');
  return textOf(name);
}

function* unique(value: Value, sensitive: Value = false, path: Value = null): Iterable<Value> {
  const get = attributeGetter(path);
  const seen = createSeen();
  for (const item of each(value)) {
    if (!seen(isTrue(sensitive) ? get(item) : ignoreCase(get(item)))) yield item;
  }
}

function extreme(value: Value, sensitive: Value = false, path: Value = null, sign: 1 | -1): Value {
  const get = attributeGetter(path);
  const key = (item: Value) => (isTrue(sensitive) ? get(item) : ignoreCase(get(item)));
  let best: { item: Value; key: Value } | undefined;
  for (const item of each(value)) {
    const found = key(item);
    if (best === undefined || order(found, best.key) * sign > 0) best = { item, key: found };
  }
  return orElse(best?.item, new Undefined('No aggregated item, sequence was empty.'));
}
