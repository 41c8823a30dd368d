/** Expressions, by the grammar of jinja2's parser. */
import type { Operator } from './arithmetic.ts';
import { NotSupported } from './errors.ts';
import type { Call, Comparison, Expression } from './nodes.ts';
import { readInt } from './numbers.ts';
import type { TokenStream } from './token-stream.ts';

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];
const NO_CALL: Call = { args: [], keywords: [], spread: undefined, spreadKeywords: undefined };

export function parseExpression(stream: TokenStream, withCondition = true): Expression {
  return stream.nested(() => (withCondition ? parseCondition(stream) : parseOr(stream)));
}

function parseCondition(stream: TokenStream): Expression {
  let then = parseOr(stream);
  while (stream.skip('name:if')) {
    const test = parseOr(stream);
    const otherwise = stream.skip('name:else') ? stream.nested(() => parseCondition(stream)) : undefined;
    then = { type: 'if', test, then, otherwise };
  }
  return then;
}

function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream);
  while (stream.skip('name:or')) left = { type: 'or', left, right: parseAnd(stream) };
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream);
  while (stream.skip('name:and')) left = { type: 'and', left, right: parseNot(stream) };
  return left;
}

function parseNot(stream: TokenStream): Expression {
  if (stream.skip('name:not')) return { type: 'not', operand: stream.nested(() => parseNot(stream)) };
  return parseComparison(stream);
}

function parseComparison(stream: TokenStream): Expression {
  const first = parseSum(stream);
  const rest: [Comparison, Expression][] = [];
  while (true) {
    if (stream.is(...COMPARISONS)) rest.push([stream.next().text as Comparison, parseSum(stream)]);
    else if (stream.skip('name:in')) rest.push(['in', parseSum(stream)]);
    else if (stream.is('name:not') && stream.nextIs('name:in')) {
      stream.next();
      stream.next();
      rest.push(['not in', parseSum(stream)]);
    } else return rest.length === 0 ? first : { type: 'compare', first, rest };
  }
}

function leftToRight(
  stream: TokenStream,
  operators: readonly Operator[],
  operand: (stream: TokenStream) => Expression,
): Expression {
  let left = operand(stream);
  while (stream.is(...operators)) {
    const operator = stream.next().text as Operator;
    left = { type: 'binary', operator, left, right: operand(stream) };
  }
  return left;
}

const parseSum = (stream: TokenStream) => leftToRight(stream, ['+', '-'], parseConcat);

function parseConcat(stream: TokenStream): Expression {
  const parts = [parseProduct(stream)];
  while (stream.skip('~')) parts.push(parseProduct(stream));
  return parts.length === 1 ? parts[0]! : { type: 'concat', parts };
}

const parseProduct = (stream: TokenStream) => leftToRight(stream, ['*', '/', '//', '%'], parsePower);
const parsePower = (stream: TokenStream) => leftToRight(stream, ['**'], (one) => parseUnary(one, true));

function parseUnary(stream: TokenStream, withFilter: boolean): Expression {
  let node: Expression;
  if (stream.is('-', '+')) {
    const operator = stream.next().text as '-' | '+';
    node = { type: 'unary', operator, operand: stream.nested(() => parseUnary(stream, false)) };
  } else node = parsePrimary(stream);
  node = parsePostfix(stream, node);
  return withFilter ? parseFilters(stream, node) : node;
}

const CONSTANTS: Record<string, boolean | null> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

export function parsePrimary(stream: TokenStream): Expression {
  const { kind, text } = stream.current;
  switch (kind) {
    case 'name':
      stream.next();
      return Object.hasOwn(CONSTANTS, text)
        ? { type: 'const', value: CONSTANTS[text]! }
        : { type: 'name', name: text };
    case 'string': {
      let value = '';
      while (stream.is('string')) value += stream.next().text;
      return { type: 'const', value };
    }
    case 'integer':
      stream.next();
      return { type: 'const', value: readInt(text, 0) };
    case 'float': {
      stream.next();
      const value = Number(text.replaceAll('_', ''));
      if (!Number.isFinite(value)) throw new NotSupported(`the number ${text}`);
      return { type: 'const', value };
    }
    case 'operator':
      if (stream.skip('(')) {
        const inner = stream.nested(() => parseTuple(stream, { explicit: true }));
        stream.expect(')');
        return inner;
      }
      if (stream.is('[')) return stream.nested(() => parseList(stream));
      if (stream.is('{')) return stream.nested(() => parseDict(stream));
      break;
    default:
  }
  return stream.fail(`unexpected ${stream.describe()}`);
}

export interface TupleRules {
  readonly withCondition?: boolean;
  /** What else ends it. */
  readonly end?: string;
  /** In brackets, where an empty one is allowed. */
  readonly explicit?: boolean;
}

/** An expression, or several with commas between. */
export function parseTuple(
  stream: TokenStream,
  { withCondition = true, end, explicit = false }: TupleRules = {},
): Expression {
  const items: Expression[] = [];
  let isTuple = false;
  while (true) {
    if (items.length > 0) stream.expect(',');
    if (stream.is('variable_end', 'block_end', ')') || (end !== undefined && stream.is(end))) break;
    items.push(parseExpression(stream, withCondition));
    if (!stream.is(',')) break;
    isTuple = true;
  }
  if (!isTuple) {
    if (items.length > 0) return items[0]!;
    if (!explicit) stream.fail(`Expected an expression, got ${stream.describe()}`);
  }
  return { type: 'tuple', items };
}

function parseList(stream: TokenStream): Expression {
  stream.expect('[');
  const items: Expression[] = [];
  while (!stream.is(']')) {
    if (items.length > 0) stream.expect(',');
    if (stream.is(']')) break;
    items.push(parseExpression(stream));
  }
  stream.expect(']');
  return { type: 'list', items };
}

function parseDict(stream: TokenStream): Expression {
  stream.expect('{');
  const entries: [Expression, Expression][] = [];
  while (!stream.is('}')) {
    if (entries.length > 0) stream.expect(',');
    if (stream.is('}')) break;
    const key = parseExpression(stream);
    stream.expect(':');
    entries.push([key, parseExpression(stream)]);
  }
  stream.expect('}');
  return { type: 'dict', entries };
}

function parsePostfix(stream: TokenStream, first: Expression): Expression {
  let node = first;
  while (true) {
    if (stream.is('.', '[')) node = parseSubscript(stream, node);
    else if (stream.is('(')) node = { type: 'call', callee: node, call: parseCall(stream) };
    else return node;
  }
}

function parseFilters(stream: TokenStream, first: Expression): Expression {
  let node = first;
  while (true) {
    if (stream.is('|')) node = parseFilter(stream, node);
    else if (stream.is('name:is')) node = parseTest(stream, node);
    else if (stream.is('(')) node = { type: 'call', callee: node, call: parseCall(stream) };
    else return node;
  }
}

function parseSubscript(stream: TokenStream, object: Expression): Expression {
  if (stream.next().text === '.') {
    const { kind, text } = stream.next();
    if (kind === 'name') return { type: 'attribute', object, name: text };
    if (kind !== 'integer') stream.fail('expected name or number');
    return { type: 'item', object, key: { type: 'const', value: readInt(text, 0) } };
  }
  const keys: (Expression | readonly (Expression | undefined)[])[] = [];
  while (!stream.is(']')) {
    if (keys.length > 0) stream.expect(',');
    keys.push(parseSubscribed(stream));
  }
  stream.expect(']');
  const [only] = keys;
  if (keys.length === 1 && only !== undefined) {
    if ('type' in only) return { type: 'item', object, key: only };
    return { type: 'slice', object, bounds: only };
  }
  const items = keys.map((key) =>
    'type' in key ? key : stream.fail('a slice cannot stand among other keys'),
  );
  return { type: 'item', object, key: { type: 'tuple', items } };
}

/** A key, or the bounds of a slice. */
function parseSubscribed(stream: TokenStream): Expression | readonly (Expression | undefined)[] {
  let start: Expression | undefined;
  if (!stream.is(':')) {
    start = parseExpression(stream);
    if (!stream.is(':')) return start;
  }
  stream.next();
  const stop = stream.is(':', ']', ',') ? undefined : parseExpression(stream);
  const step = stream.skip(':') && !stream.is(']', ',') ? parseExpression(stream) : undefined;
  return [start, stop, step];
}

function parseCall(stream: TokenStream): Call {
  stream.expect('(');
  const args: Expression[] = [];
  const keywords: [string, Expression][] = [];
  let spread: Expression | undefined;
  let spreadKeywords: Expression | undefined;
  const ensure = (fits: boolean) => fits || stream.fail('invalid syntax for function call expression');
  let first = true;
  while (!stream.is(')')) {
    if (!first) {
      stream.expect(',');
      if (stream.is(')')) break;
    }
    first = false;
    if (stream.is('*')) {
      ensure(spread === undefined && spreadKeywords === undefined);
      stream.next();
      spread = parseExpression(stream);
    } else if (stream.is('**')) {
      ensure(spreadKeywords === undefined);
      stream.next();
      spreadKeywords = parseExpression(stream);
    } else if (stream.is('name') && stream.nextIs('=')) {
      ensure(spreadKeywords === undefined);
      const name = stream.next().text;
      stream.next();
      if (keywords.some(([other]) => other === name)) stream.fail(`keyword argument repeated: ${name}`);
      keywords.push([name, parseExpression(stream)]);
    } else {
      ensure(spread === undefined && spreadKeywords === undefined && keywords.length === 0);
      args.push(parseExpression(stream));
    }
  }
  stream.expect(')');
  return { args, keywords, spread, spreadKeywords };
}

function dottedName(stream: TokenStream): string {
  let name = stream.expect('name').text;
  while (stream.skip('.')) name += `.${stream.expect('name').text}`;
  return name;
}

function parseFilter(stream: TokenStream, value: Expression): Expression {
  stream.expect('|');
  return filterNode(stream, value);
}

function filterNode(stream: TokenStream, value: Expression | undefined): Expression & { type: 'filter' } {
  const name = dottedName(stream);
  return { type: 'filter', value, name, call: stream.is('(') ? parseCall(stream) : NO_CALL };
}

/** The filters of a block: the first is given its body. @param inline without a `|` before the first */
export function parseBlockFilters(stream: TokenStream, inline: boolean): Expression | undefined {
  let node: Expression | undefined = inline ? filterNode(stream, undefined) : undefined;
  while (stream.skip('|')) node = filterNode(stream, node);
  return node;
}

function parseTest(stream: TokenStream, value: Expression): Expression {
  stream.next();
  const negated = stream.skip('name:not');
  const name = dottedName(stream);
  let call = NO_CALL;
  if (stream.is('(')) call = parseCall(stream);
  else if (
    stream.is('name', 'string', 'integer', 'float', '[', '{') &&
    !stream.is('name:else', 'name:or', 'name:and')
  ) {
    if (stream.is('name:is')) stream.fail('You cannot chain multiple tests with is');
    call = { ...NO_CALL, args: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { type: 'test', value, name, call };
  return negated ? { type: 'not', operand: test } : test;
}
