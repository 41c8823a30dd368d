/** What every chat template can call. */
import { MAX_TEMPLATE_RANGE } from '../../../config/limits.ts';
import { dictFrom } from './collection-methods.ts';
import { NotSupported, TemplateError, TemplateRefusal } from './errors.ts';
import { Parameters } from './parameters.ts';
import { str } from './repr.ts';
import { checkMember } from './scope.ts';
import { intArgument } from './text-methods.ts';
import { Callable, isInt, isText, Namespace, Range, textOf, Undefined, type Value } from './value.ts';

const MESSAGE = new Parameters('message');
const FORMAT = new Parameters('format');

/** @param strftimeNow the time, in a format of C's strftime */
export function createGlobals(strftimeNow: (format: string) => string): Map<string, Value> {
  const functions = [
    new Callable('range', (args, keywords) => {
      if (keywords.size > 0) throw new TemplateError('range() takes no keyword arguments');
      return range(args);
    }),
    new Callable('dict', dictFrom),
    new Callable('namespace', (args, keywords) => {
      const attributes = dictFrom(args, keywords);
      for (const name of attributes.keys()) if (isText(name)) checkMember(textOf(name));
      return new Namespace(attributes);
    }),
    Callable.with('raise_exception', MESSAGE, (message) => {
      throw new TemplateRefusal(str(message!));
    }),
    Callable.with('strftime_now', FORMAT, (format) => {
      if (format === undefined || !isText(format))
        throw new TemplateError('strftime() argument 1 must be str');
      return strftimeNow(textOf(format));
    }),
    ...['lipsum', 'cycler', 'joiner'].map(
      (name) =>
        new Callable(name, () => {
          throw new NotSupported(`${name}()`);
        }),
    ),
  ];
  return new Map(functions.map((one) => [one.name, one]));
}

/** @throws TemplateError for one that is too long, as jinja2's sandbox */
function range(args: readonly Value[]): Range {
  for (const value of args) {
    if (value instanceof Undefined) throw new TemplateError(value.problem);
    if (!isInt(value)) throw new TemplateError('range() takes integers');
  }
  if (args.length < 1 || args.length > 3) throw new TemplateError('range() takes one to three arguments');
  const [first, second, third] = args.map((value) => intArgument(value, 0));
  const step = third ?? 1;
  if (step === 0) throw new TemplateError('range() arg 3 must not be zero');
  const made = second === undefined ? new Range(0, first!, step) : new Range(first!, second, step);
  if (made.length > MAX_TEMPLATE_RANGE) {
    throw new TemplateError(`a range has ${made.length} numbers, at most ${MAX_TEMPLATE_RANGE} are made`);
  }
  return made;
}
