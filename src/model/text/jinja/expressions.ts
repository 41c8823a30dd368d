/** Working out expressions. */
import { getAttribute, getItem, slice } from './access.ts';
import { binary, unary } from './arithmetic.ts';
import { contains, equal, order } from './compare.ts';
import { NotSupported, TemplateError } from './errors.ts';
import type { Names } from './filter.ts';
import { each } from './iterate.ts';
import { checkTextLength, deeper, spend, spendOnLength } from './meter.ts';
import type { Call, Comparison, Expression } from './nodes.ts';
import { str } from './repr.ts';
import type { Scope } from './scope.ts';
import { SEQUENCE_FILTERS } from './sequence-filters.ts';
import { requireName, TESTS } from './tests.ts';
import { TEXT_FILTERS } from './text-filters.ts';
import {
  type Arguments,
  Callable,
  Dict,
  isText,
  isTrue,
  type Keywords,
  Special,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

const FILTERS = { ...TEXT_FILTERS, ...SEQUENCE_FILTERS };

export const NAMES: Names = {
  filter: (name, value, args, keywords) => {
    const result = requireName(FILTERS, 'filter', name)(value, args, keywords, NAMES);
    if (isText(result)) {
      checkTextLength(textOf(result).length);
      spendOnLength(textOf(result).length);
    }
    return result;
  },
  test: (name, value, args, keywords) => requireName(TESTS, 'test', name)(value, args, keywords, NAMES),
  hasFilter: (name) => Object.hasOwn(FILTERS, name),
  hasTest: (name) => Object.hasOwn(TESTS, name),
};

/** @param body what a filter without a value is given: the text of its block */
export function evaluate(node: Expression, scope: Scope, body?: string): Value {
  spend(1);
  switch (node.type) {
    case 'const':
      return node.value;
    case 'name':
      return lookUp(node.name, scope);
    case 'tuple':
      return new Tuple(node.items.map((item) => evaluate(item, scope)));
    case 'list':
      return node.items.map((item) => evaluate(item, scope));
    case 'dict':
      return Dict.of(
        node.entries.map(([key, value]) => [evaluate(key, scope), evaluate(value, scope)] as const),
      );
    case 'and': {
      const left = evaluate(node.left, scope);
      return isTrue(left) ? evaluate(node.right, scope) : left;
    }
    case 'or': {
      const left = evaluate(node.left, scope);
      return isTrue(left) ? left : evaluate(node.right, scope);
    }
    case 'not':
      return !isTrue(evaluate(node.operand, scope));
    case 'unary':
      return unary(node.operator, evaluate(node.operand, scope));
    case 'binary':
      return binary(node.operator, evaluate(node.left, scope), evaluate(node.right, scope));
    case 'concat':
      return concat(node.parts.map((part) => evaluate(part, scope)));
    case 'compare':
      return compare(node.first, node.rest, scope);
    case 'if': {
      if (isTrue(evaluate(node.test, scope))) return evaluate(node.then, scope);
      if (node.otherwise !== undefined) return evaluate(node.otherwise, scope);
      return new Undefined('the inline if-expression evaluated to false and no else section was defined.');
    }
    case 'attribute':
      return getAttribute(evaluate(node.object, scope), node.name);
    case 'item':
      return getItem(evaluate(node.object, scope), evaluate(node.key, scope));
    case 'slice': {
      const object = evaluate(node.object, scope);
      const [start = null, stop = null, step = null] = node.bounds.map((bound) =>
        bound === undefined ? null : evaluate(bound, scope),
      );
      return slice(object, start, stop, step);
    }
    case 'call': {
      const callee = evaluate(node.callee, scope);
      return call(callee, ...evaluateCall(node.call, scope));
    }
    case 'filter': {
      const value = node.value === undefined ? (body ?? '') : evaluate(node.value, scope, body);
      return NAMES.filter(node.name, value, ...evaluateCall(node.call, scope));
    }
    case 'test':
      return NAMES.test(node.name, evaluate(node.value, scope), ...evaluateCall(node.call, scope));
    default:
      return node satisfies never;
  }
}

function lookUp(name: string, scope: Scope): Value {
  const value = scope.get(name);
  if (value !== undefined) return value;
  if (name === 'self') throw new NotSupported('self');
  return new Undefined(`'${name}' is undefined`);
}

function concat(values: readonly Value[]): Value {
  const texts = values.map(str);
  let length = 0;
  for (const text of texts) length += text.length;
  checkTextLength(length);
  spendOnLength(length);
  return texts.join('');
}

function compare(
  first: Expression,
  rest: readonly (readonly [Comparison, Expression])[],
  scope: Scope,
): Value {
  let left = evaluate(first, scope);
  for (const [operator, operand] of rest) {
    const right = evaluate(operand, scope);
    if (!holds(operator, left, right)) return false;
    left = right;
  }
  return true;
}

function holds(operator: Comparison, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return equal(left, right);
    case '!=':
      return !equal(left, right);
    case '<':
      return order(left, right) < 0;
    case '<=':
      return order(left, right) <= 0;
    case '>':
      return order(left, right) > 0;
    case '>=':
      return order(left, right) >= 0;
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    default:
      return operator satisfies never;
  }
}

export function evaluateCall(
  { args, keywords, spread, spreadKeywords }: Call,
  scope: Scope,
): [Arguments, Keywords] {
  const values = args.map((arg) => evaluate(arg, scope));
  if (spread !== undefined) values.push(...each(evaluate(spread, scope)));
  const named = new Map(keywords.map(([name, value]) => [name, evaluate(value, scope)]));
  if (spreadKeywords !== undefined) {
    const more = evaluate(spreadKeywords, scope);
    if (!(more instanceof Dict))
      throw new TemplateError(`argument after ** must be a mapping, not ${typeName(more)}`);
    for (const [key, value] of more.entries()) {
      if (!isText(key)) throw new TemplateError('keywords must be strings');
      if (named.has(textOf(key)))
        throw new TemplateError(`got multiple values for keyword argument '${textOf(key)}'`);
      named.set(textOf(key), value);
    }
  }
  return [values, named];
}

/** @throws TemplateError for what cannot be called */
export function call(callee: Value, args: Arguments, keywords: Keywords): Value {
  if (callee instanceof Callable || callee instanceof Special)
    return deeper(() => callee.call(args, keywords));
  if (callee instanceof Undefined) throw new TemplateError(callee.problem);
  throw new TemplateError(`'${typeName(callee)}' object is not callable`);
}
