/** Running a template's statements. */
import { NotSupported, TemplateError } from './errors.ts';
import { call, evaluate, evaluateCall } from './expressions.ts';
import { each } from './iterate.ts';
import { Loop } from './loop.ts';
import { Macro } from './macro.ts';
import { checkTextLength, deeper, spend } from './meter.ts';
import type { Body, Signature, Statement } from './nodes.ts';
import { str } from './repr.ts';
import { assign, checkTarget, Scope } from './scope.ts';
import { isTrue, Stream, Undefined, type Value } from './value.ts';
import { reads } from './walk.ts';

/** Where text goes; bounded while it grows. */
export class Output {
  private readonly pieces: string[] = [];
  private length = 0;

  write(text: string): void {
    this.length += text.length;
    checkTextLength(this.length);
    if (text !== '') this.pieces.push(text);
  }
  get text(): string {
    return this.pieces.join('');
  }
}

/** How a body ended: `break` and `continue` end those around them, up to the loop. */
type Ending = 'break' | 'continue' | undefined;

type ForLoop = Statement & { type: 'for' };

export function run(body: Body, scope: Scope, root: Scope, out: Output): Ending {
  for (const statement of body) {
    const ending = runStatement(statement, scope, root, out);
    if (ending !== undefined) return ending;
  }
  return undefined;
}

function runStatement(statement: Statement, scope: Scope, root: Scope, out: Output): Ending {
  spend(1);
  switch (statement.type) {
    case 'data':
      out.write(statement.text);
      return undefined;
    case 'output':
      out.write(str(evaluate(statement.value, scope)));
      return undefined;
    case 'for':
      runFor(statement, scope, root, out);
      return undefined;
    case 'if': {
      for (const [test, body] of statement.branches) {
        if (isTrue(evaluate(test, scope))) return run(body, scope, root, out);
      }
      return run(statement.otherwise, scope, root, out);
    }
    case 'set':
      checkTarget(scope, statement.target);
      assign(scope, statement.target, evaluate(statement.value, scope));
      return undefined;
    case 'set block': {
      const inner = new Scope(scope);
      const captured = new Output();
      const ending = run(statement.body, inner, root, captured);
      if (ending !== undefined) return ending;
      checkTarget(scope, statement.target);
      const value =
        statement.filter === undefined ? captured.text : evaluate(statement.filter, inner, captured.text);
      assign(scope, statement.target, value);
      return undefined;
    }
    case 'with': {
      const inner = new Scope(scope);
      for (const [target, value] of statement.targets) assign(inner, target, evaluate(value, scope));
      return run(statement.body, inner, root, out);
    }
    case 'macro':
      scope.set(statement.name, macro(statement.name, statement.signature, statement.body, scope, root));
      return undefined;
    case 'call': {
      const caller = macro(undefined, statement.signature, statement.body, scope, root);
      const callee = evaluate(statement.call.callee, scope);
      const [args, keywords] = evaluateCall(statement.call.call, scope);
      out.write(str(call(callee, args, new Map([...keywords, ['caller', caller]]))));
      return undefined;
    }
    case 'filter': {
      const inner = new Scope(scope);
      const captured = new Output();
      const ending = run(statement.body, inner, root, captured);
      if (ending !== undefined) return ending;
      out.write(str(evaluate(statement.filter, inner, captured.text)));
      return undefined;
    }
    case 'generation':
      run(statement.body, new Scope(scope), root, out);
      return undefined;
    case 'block':
      if (statement.required) throw new TemplateError(`Required block '${statement.name}' not found`);
      // A block of its own sees what the template has set outside of loops.
      run(statement.body, new Scope(statement.scoped ? scope : root), root, out);
      return undefined;
    case 'break':
    case 'continue':
      return statement.type;
    case 'loader':
      throw new NotSupported(`{% ${statement.tag} %}, which needs another template,`);
    default:
      return statement satisfies never;
  }
}

function runFor(node: ForLoop, scope: Scope, root: Scope, out: Output): void {
  const source = evaluate(node.source, scope);
  if (node.recursive) out.write(recursion(node, scope, root)(source, 0));
  else runLoop(node, new Loop(filtered(node, source, scope), 0), scope, root, out);
}

function recursion(node: ForLoop, scope: Scope, root: Scope): (source: Value, depth: number) => string {
  const recurse = (source: Value, depth: number): string =>
    deeper(() => {
      const out = new Output();
      runLoop(node, new Loop(filtered(node, source, scope), depth, recurse), scope, root, out);
      return out.text;
    });
  return recurse;
}

/** The items for which the loop's `if` holds, asked one by one. */
function filtered(node: ForLoop, source: Value, scope: Scope): Value {
  const { test, target } = node;
  if (test === undefined) return source;
  const items = each(source);
  return new Stream(
    (function* () {
      for (const item of items) {
        const inner = new Scope(scope);
        assign(inner, target, item);
        if (isTrue(evaluate(test, inner))) yield item;
      }
    })(),
  );
}

function runLoop(node: ForLoop, loop: Loop, scope: Scope, root: Scope, out: Output): void {
  let ran = false;
  // `loop` names this loop only where the body speaks of it.
  const isNamed = node.recursive || reads(node.body, 'loop');
  for (let item = loop.step(); item !== undefined; item = loop.step()) {
    spend(1);
    const inner = new Scope(scope);
    assign(inner, node.target, item);
    if (isNamed) inner.set('loop', loop);
    const ending = run(node.body, inner, root, out);
    // As in jinja2, a round that `break` or `continue` ends does not count against `else`.
    if (ending === undefined) ran = true;
    if (ending === 'break') break;
  }
  if (!ran) run(node.otherwise, new Scope(scope), root, out);
}

function macro(name: string | undefined, signature: Signature, body: Body, scope: Scope, root: Scope): Macro {
  const { names, defaults } = signature;
  const uses = {
    caller: reads(body, 'caller'),
    kwargs: reads(body, 'kwargs'),
    varargs: reads(body, 'varargs'),
  };
  return new Macro(name, names, uses, (given) => {
    const inner = new Scope(scope);
    for (const [parameter, value] of given) inner.set(parameter, value);
    for (const [index, parameter] of names.entries()) {
      if (given.has(parameter)) continue;
      const fallback = defaults[index - (names.length - defaults.length)];
      const missing = new Undefined(`parameter '${parameter}' was not provided`);
      inner.set(parameter, fallback === undefined ? missing : evaluate(fallback, inner));
    }
    const out = new Output();
    run(body, inner, root, out);
    return out.text;
  });
}
