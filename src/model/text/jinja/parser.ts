/** Templates, by the grammar of jinja2's parser, with the tags that transformers adds: generation, break, continue. */
import { NotSupported } from './errors.ts';
import { parseBlockFilters, parseExpression, parsePrimary, parseTuple } from './expression-parser.ts';
import type { Body, Expression, Signature, Statement, Target } from './nodes.ts';
import { TokenStream } from './token-stream.ts';

/** @throws TemplateError for what is not a template, NotSupported for what only jinja2 can do */
export function parseTemplate(template: string): Body {
  const parser = new Parser(template);
  return parser.parse();
}

class Parser {
  private readonly stream: TokenStream;
  /** Loops around this place within the same macro: what `break` may end. */
  private loops = 0;
  private readonly blocks = new Set<string>();

  constructor(template: string) {
    this.stream = new TokenStream(template);
  }

  parse(): Body {
    return this.body([]);
  }

  /** Up to one of the end tags, which is left as the current token; to the template's end without any. */
  private body(ends: readonly string[]): Body {
    const { stream } = this;
    const body: Statement[] = [];
    while (!stream.is('eof')) {
      if (stream.is('data')) body.push({ type: 'data', text: stream.next().text });
      else if (stream.skip('variable_begin')) {
        body.push({ type: 'output', value: parseTuple(stream) });
        stream.expect('variable_end');
      } else {
        stream.expect('block_begin');
        if (stream.is(...ends.map((end) => `name:${end}`))) return body;
        body.push(...stream.nested(() => this.statement()));
        stream.expect('block_end');
      }
    }
    if (ends.length > 0) stream.fail(`Unexpected end of template; looking for ${ends.join(' or ')}`);
    return body;
  }

  /** The body of a tag, up to its end tag; gives the name of the one found. */
  private inside(...ends: readonly string[]): { body: Body; end: string } {
    this.stream.skip(':');
    this.stream.expect('block_end');
    const body = this.body(ends);
    return { body, end: this.stream.next().text };
  }

  /** A body that is a function of its own in jinja2: `break` does not reach out of it. */
  private closed(end: string): Body {
    const { loops } = this;
    this.loops = 0;
    const { body } = this.inside(end);
    this.loops = loops;
    return body;
  }

  private statement(): Statement[] {
    const { stream } = this;
    const tag = stream.expect('name').text;
    switch (tag) {
      case 'for':
        return [this.loop()];
      case 'if':
        return [this.condition()];
      case 'set':
        return [this.assignment()];
      case 'with':
        return [this.withBlock()];
      case 'macro': {
        const name = this.nameTarget();
        const signature = this.signature();
        return [{ type: 'macro', name, signature, body: this.closed('endmacro') }];
      }
      case 'call': {
        const signature = stream.is('(') ? this.signature() : { names: [], defaults: [] };
        const call = parseExpression(stream);
        if (call.type !== 'call') return stream.fail('expected call');
        return [{ type: 'call', signature, call, body: this.closed('endcall') }];
      }
      case 'filter': {
        const filter = parseBlockFilters(stream, true)!;
        return [{ type: 'filter', filter, body: this.inside('endfilter').body }];
      }
      case 'generation':
        return [{ type: 'generation', body: this.closed('endgeneration') }];
      case 'block':
        return [this.block()];
      case 'print': {
        const printed: Statement[] = [];
        while (!stream.is('block_end')) {
          if (printed.length > 0) stream.expect(',');
          printed.push({ type: 'output', value: parseExpression(stream) });
        }
        return printed;
      }
      case 'break':
      case 'continue':
        if (this.loops === 0) stream.fail(`'${tag}' outside loop`);
        return [{ type: tag }];
      case 'include':
      case 'import':
      case 'extends':
      case 'from':
        while (!stream.is('block_end', 'eof')) stream.next();
        return [{ type: 'loader', tag }];
      case 'autoescape':
        throw new NotSupported('{% autoescape %}');
      default:
        return stream.fail(`Encountered unknown tag '${tag}'`);
    }
  }

  private loop(): Statement {
    const { stream } = this;
    const target = this.target('name:in');
    stream.expect('name:in');
    const source = parseTuple(stream, { withCondition: false, end: 'name:recursive' });
    const test = stream.skip('name:if') ? parseExpression(stream) : undefined;
    const recursive = stream.skip('name:recursive');
    this.loops++;
    const { body, end } = this.inside('endfor', 'else');
    this.loops--;
    const otherwise = end === 'else' ? this.inside('endfor').body : [];
    const node: Statement = { type: 'for', target, source, test, recursive, body, otherwise };
    if (storesLoop([node])) stream.fail("Can't assign to special loop variable in for-loop target");
    return node;
  }

  private condition(): Statement {
    const { stream } = this;
    const branches: [Expression, Body][] = [];
    while (true) {
      const test = parseTuple(stream, { withCondition: false });
      const { body, end } = this.inside('elif', 'else', 'endif');
      branches.push([test, body]);
      if (end === 'elif') continue;
      return { type: 'if', branches, otherwise: end === 'else' ? this.inside('endif').body : [] };
    }
  }

  private assignment(): Statement {
    const { stream } = this;
    const target = this.target(undefined, true);
    if (stream.skip('=')) return { type: 'set', target, value: parseTuple(stream) };
    const filter = parseBlockFilters(stream, false);
    return { type: 'set block', target, filter, body: this.inside('endset').body };
  }

  private withBlock(): Statement {
    const { stream } = this;
    const targets: [Target, Expression][] = [];
    while (!stream.is('block_end')) {
      if (targets.length > 0) stream.expect(',');
      const target = this.target();
      stream.expect('=');
      targets.push([target, parseExpression(stream)]);
    }
    return { type: 'with', targets, body: this.inside('endwith').body };
  }

  private block(): Statement {
    const { stream } = this;
    const name = stream.expect('name').text;
    const scoped = stream.skip('name:scoped');
    const required = stream.skip('name:required');
    if (this.blocks.has(name)) stream.fail(`block '${name}' defined twice`);
    this.blocks.add(name);
    const body = this.closed('endblock');
    stream.skip(`name:${name}`);
    return { type: 'block', name, scoped, required, body };
  }

  private signature(): Signature {
    const { stream } = this;
    stream.expect('(');
    const names: string[] = [];
    const defaults: Expression[] = [];
    while (!stream.is(')')) {
      if (names.length > 0) stream.expect(',');
      const name = this.nameTarget();
      if (['caller', 'kwargs', 'varargs'].includes(name))
        throw new NotSupported(`a macro's parameter with the name ${name}`);
      if (names.includes(name)) stream.fail(`duplicate argument '${name}'`);
      names.push(name);
      if (stream.skip('=')) defaults.push(parseExpression(stream));
      else if (defaults.length > 0) stream.fail('non-default argument follows default argument');
    }
    stream.expect(')');
    return { names, defaults };
  }

  private nameTarget(): string {
    const { text } = this.stream.expect('name');
    if (/^(?:true|false|none|True|False|None)$/.test(text)) this.stream.fail(`can't assign to '${text}'`);
    return text;
  }

  private target(end?: string, withMember = false): Target {
    const { stream } = this;
    const items: Target[] = [];
    let isTuple = false;
    while (true) {
      if (items.length > 0) stream.expect(',');
      if (stream.is('block_end', 'variable_end', ')') || (end !== undefined && stream.is(end))) break;
      items.push(this.oneTarget(withMember));
      if (!stream.is(',')) break;
      isTuple = true;
    }
    if (isTuple) return { type: 'targets', items };
    return items[0] ?? stream.fail(`Expected an expression, got ${stream.describe()}`);
  }

  private oneTarget(withMember: boolean): Target {
    const { stream } = this;
    const isConstant = /^(?:true|false|none|True|False|None)$/.test(stream.current.text);
    if (withMember && stream.is('name') && stream.nextIs('.') && !isConstant) {
      const name = stream.next().text;
      stream.next();
      return { type: 'member', name, attribute: stream.expect('name').text };
    }
    return this.asTarget(parsePrimary(stream));
  }

  private asTarget(node: Expression): Target {
    if (node.type === 'name') return node;
    if (node.type === 'tuple')
      return { type: 'targets', items: node.items.map((item) => this.asTarget(item)) };
    return this.stream.fail(`can't assign to '${node.type}'`);
  }
}

/** Whether anything in there assigns to `loop`. */
function storesLoop(body: Body): boolean {
  return body.some((statement) => {
    switch (statement.type) {
      case 'for':
        return isLoop(statement.target) || storesLoop(statement.body) || storesLoop(statement.otherwise);
      case 'if':
        return statement.branches.some(([, inner]) => storesLoop(inner)) || storesLoop(statement.otherwise);
      case 'set':
        return isLoop(statement.target);
      case 'set block':
        return isLoop(statement.target) || storesLoop(statement.body);
      default:
        return 'body' in statement && storesLoop(statement.body);
    }
  });
}

function isLoop(target: Target): boolean {
  if (target.type === 'targets') return target.items.some(isLoop);
  return target.type === 'name' && target.name === 'loop';
}
