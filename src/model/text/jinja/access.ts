/** `a.b`, `a[b]` and `a[b:c:d]`, within the sandbox: no attribute with an underscore, none that changes a value. */
import { dictMethod, sequenceMethod } from './collection-methods.ts';
import { NotSupported, TemplateError } from './errors.ts';
import { spendOnLength } from './meter.ts';
import { pointAt, points } from './python-text.ts';
import { strFormat } from './str-format.ts';
import { TEXT_METHODS } from './text-methods.ts';
import {
  Callable,
  Dict,
  isInt,
  isText,
  Markup,
  Namespace,
  orElse,
  Range,
  requiredLength,
  Special,
  Stream,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from './value.ts';

/** What every Python object has beside its own; hidden by the sandbox, but there: it is not looked up as a key. */
const OBJECT_INTERNALS = new Set(
  'class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ne new reduce reduce_ex repr setattr sizeof str subclasshook'
    .split(' ')
    .map((name) => `__${name}__`),
);
const CONTAINER_INTERNALS = new Set(
  'contains getitem iter len reversed or ror ior class_getitem delitem setitem add mul rmul iadd imul mod rmod getnewargs'
    .split(' ')
    .map((name) => `__${name}__`),
);
/** Python has these; templates here do not. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  str: ['encode', 'maketrans', 'translate'],
  int: ['as_integer_ratio', 'bit_count', 'bit_length', 'conjugate', 'from_bytes', 'to_bytes'],
  float: ['as_integer_ratio', 'conjugate', 'fromhex', 'hex'],
  range: ['start', 'stop', 'step'],
};
/** Methods that change a value. */
const CHANGING: Readonly<Record<string, readonly string[]>> = {
  list: ['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'],
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
};

/** environment.getattr: the attribute, else the item. */
export function getAttribute(object: Value, name: string): Value {
  const found = attribute(object, name);
  return found === undefined ? orElse(item(object, name), missing(object, name)) : found;
}

/** environment.getitem: the item, else the attribute. */
export function getItem(object: Value, key: Value): Value {
  if (object instanceof Undefined) throw new TemplateError(object.problem);
  let found = item(object, key);
  if (found === undefined && isText(key)) found = attribute(object, textOf(key));
  return orElse(found, missing(object, isText(key) ? textOf(key) : undefined));
}

function missing(object: Value, name: string | undefined): Undefined {
  return new Undefined(
    name === undefined
      ? `${typeName(object)} object has no such element`
      : `'${typeName(object)} object' has no attribute '${name}'`,
  );
}

/** getattr(object, name) as the sandbox allows it; undefined where Python has none. */
export function attribute(object: Value, name: string): Value | undefined {
  if (name.startsWith('_')) return hasInternal(object, name) ? unsafe(object, name) : undefined;
  if (object instanceof Undefined) throw new TemplateError(object.problem);
  const type = typeName(object);
  if (CHANGING[type]?.includes(name)) return unsafe(object, name);
  if (isText(object)) return textAttribute(object, name);
  if (Array.isArray(object) || object instanceof Range)
    return sequenceMethod(object, name) ?? other(type, name);
  if (object instanceof Tuple) {
    const place = object.names.indexOf(name);
    return place === -1 ? sequenceMethod(object, name) : object.items[place];
  }
  if (object instanceof Dict) return dictMethod(object, name);
  if (object instanceof Namespace) return object.attributes.get(name);
  if (object instanceof Special) return object.attribute(name);
  if (isInt(object) || typeof object === 'number')
    return numberAttribute(object, name) ?? other(type === 'bool' ? 'int' : type, name);
  if (object instanceof View || object instanceof Stream || object instanceof Callable) {
    throw new NotSupported(`the attribute ${name} of a ${type}`);
  }
  return undefined;
}

function unsafe(object: Value, name: string): Undefined {
  return new Undefined(`access to attribute '${name}' of '${typeName(object)}' object is unsafe`);
}

function other(type: string, name: string): undefined {
  if (OTHERS[type]?.includes(name)) throw new NotSupported(`${type}.${name}`);
  return undefined;
}

function hasInternal(object: Value, name: string): boolean {
  if (object instanceof Namespace && name !== '__class__') return false;
  if (OBJECT_INTERNALS.has(name)) return true;
  const isContainer =
    isText(object) || Array.isArray(object) || object instanceof Tuple || object instanceof Dict;
  return isContainer && CONTAINER_INTERNALS.has(name);
}

function textAttribute(text: string | Markup, name: string): Value | undefined {
  if (Object.hasOwn(TEXT_METHODS, name)) {
    if (text instanceof Markup) throw new NotSupported(`the method ${name} of escaped text`);
    const { parameters, run } = TEXT_METHODS[name]!;
    return Callable.with(name, parameters, (...given) => {
      spendOnLength(text.length);
      return run(text, ...given);
    });
  }
  if (name === 'format' || name === 'format_map') {
    if (text instanceof Markup) throw new NotSupported(`the method ${name} of escaped text`);
    return strFormat(text, name, { getAttribute, getItem });
  }
  if (text instanceof Markup && ['escape', 'striptags', 'unescape'].includes(name))
    throw new NotSupported(`Markup.${name}`);
  return other('str', name);
}

function numberAttribute(value: bigint | boolean | number, name: string): Value | undefined {
  const isFloat = typeof value === 'number';
  switch (name) {
    case 'real':
      return isFloat ? value : BigInt(value);
    case 'imag':
      return isFloat ? 0 : 0n;
    case 'numerator':
      return isFloat ? undefined : BigInt(value);
    case 'denominator':
      return isFloat ? undefined : 1n;
    case 'is_integer':
      return isFloat
        ? new Callable(name, (args) => {
            if (args.length > 0) throw new TemplateError('is_integer() takes no arguments');
            return Number.isInteger(value);
          })
        : undefined;
    default:
      return undefined;
  }
}

/** object[key]; undefined where Python raises a TypeError, a KeyError or an IndexError. */
function item(object: Value, key: Value): Value | undefined {
  if (object instanceof Undefined) throw new TemplateError(object.problem);
  if (object instanceof Dict) {
    try {
      return object.get(key);
    } catch (cause) {
      if (cause instanceof NotSupported || !(cause instanceof TemplateError)) throw cause;
      return undefined;
    }
  }
  if (!isInt(key)) return undefined;
  const sequence =
    isText(object) || Array.isArray(object) || object instanceof Tuple || object instanceof Range;
  if (!sequence) return undefined;
  const length = requiredLength(object);
  const index = Number(key) < 0 ? Number(key) + length : Number(key);
  if (index < 0 || index >= length) return undefined;
  if (typeof object === 'string') return pointAt(object, index);
  if (object instanceof Markup) return new Markup(pointAt(object.text, index));
  if (object instanceof Range) return object.at(index);
  return Array.isArray(object) ? object[index] : object.items[index];
}

/** object[start:stop:step] @throws TemplateError where Python has no such slice */
export function slice(object: Value, start: Value, stop: Value, step: Value): Value {
  if (object instanceof Undefined) throw new TemplateError(object.problem);
  const sequence =
    isText(object) || Array.isArray(object) || object instanceof Tuple || object instanceof Range;
  // Where all of it is constant jinja2 prints nothing, and raises elsewhere.
  if (!sequence) throw new NotSupported(`a slice of '${typeName(object)}'`);
  if (object instanceof Markup) throw new NotSupported('a slice of escaped text');
  const by = place(step) ?? 1;
  if (by === 0) throw new TemplateError('slice step cannot be zero');
  const length = requiredLength(object);
  const within = (value: number | undefined, otherwise: number): number => {
    if (value === undefined) return otherwise;
    const index = value < 0 ? value + length : value;
    return by > 0 ? Math.max(0, Math.min(length, index)) : Math.max(-1, Math.min(length - 1, index));
  };
  const first = within(place(start), by > 0 ? 0 : length - 1);
  const last = within(place(stop), by > 0 ? length : -1);
  if (object instanceof Range) {
    return new Range(object.start + first * object.step, object.start + last * object.step, object.step * by);
  }
  const all: readonly Value[] =
    typeof object === 'string' ? points(object) : Array.isArray(object) ? object : object.items;
  const picked = by === 1 ? all.slice(first, Math.max(first, last)) : stepped(all, first, last, by);
  spendOnLength(picked.length);
  if (typeof object === 'string') return picked.join('');
  return Array.isArray(object) ? picked : new Tuple(picked);
}

function stepped(all: readonly Value[], first: number, last: number, by: number): Value[] {
  const picked: Value[] = [];
  for (let index = first; by > 0 ? index < last : index > last; index += by) picked.push(all[index]!);
  return picked;
}

function place(value: Value): number | undefined {
  if (value === null) return undefined;
  if (!isInt(value)) throw new NotSupported(`a slice from or to a '${typeName(value)}'`);
  // Beyond any length, all ints are the same.
  const int = BigInt(value);
  return Number(int > 2n ** 40n ? 2n ** 40n : int < -(2n ** 40n) ? -(2n ** 40n) : int);
}
