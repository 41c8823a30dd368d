/** Walks through a template's tree. */
import type { Body, Call, Expression, Signature, Statement } from './nodes.ts';

/** The expressions directly below one. */
export function children(node: Expression): readonly Expression[] {
  switch (node.type) {
    case 'const':
    case 'name':
      return [];
    case 'tuple':
    case 'list':
      return node.items;
    case 'dict':
      return node.entries.flat();
    case 'and':
    case 'or':
    case 'binary':
      return [node.left, node.right];
    case 'not':
    case 'unary':
      return [node.operand];
    case 'concat':
      return node.parts;
    case 'compare':
      return [node.first, ...node.rest.map(([, operand]) => operand)];
    case 'if':
      return given(node.test, node.then, node.otherwise);
    case 'attribute':
      return [node.object];
    case 'item':
      return [node.object, node.key];
    case 'slice':
      return given(node.object, ...node.bounds);
    case 'call':
      return [node.callee, ...callParts(node.call)];
    case 'filter':
    case 'test':
      return given(node.value, ...callParts(node.call));
    default:
      return node satisfies never;
  }
}

function given(...nodes: readonly (Expression | undefined)[]): Expression[] {
  return nodes.filter((node) => node !== undefined);
}

function callParts({ args, keywords, spread, spreadKeywords }: Call): Expression[] {
  return given(...args, ...keywords.map(([, value]) => value), spread, spreadKeywords);
}

interface Parts {
  readonly expressions: readonly Expression[];
  readonly bodies: readonly Body[];
}

/** What lies directly in a statement. */
export function parts(statement: Statement): Parts {
  const signature = ({ defaults }: Signature) => defaults;
  switch (statement.type) {
    case 'data':
    case 'break':
    case 'continue':
    case 'loader':
      return { expressions: [], bodies: [] };
    case 'output':
    case 'set':
      return { expressions: [statement.value], bodies: [] };
    case 'for':
      return {
        expressions: given(statement.source, statement.test),
        bodies: [statement.body, statement.otherwise],
      };
    case 'if':
      return {
        expressions: statement.branches.map(([test]) => test),
        bodies: [...statement.branches.map(([, body]) => body), statement.otherwise],
      };
    case 'set block':
      return { expressions: given(statement.filter), bodies: [statement.body] };
    case 'with':
      return { expressions: statement.targets.map(([, value]) => value), bodies: [statement.body] };
    case 'macro':
      return { expressions: signature(statement.signature), bodies: [statement.body] };
    case 'call':
      return { expressions: [...signature(statement.signature), statement.call], bodies: [statement.body] };
    case 'filter':
      return { expressions: [statement.filter], bodies: [statement.body] };
    case 'generation':
    case 'block':
      return { expressions: [], bodies: [statement.body] };
    default:
      return statement satisfies never;
  }
}

/** Whether a name is read anywhere in there. */
export function reads(body: Body, name: string): boolean {
  const inExpression = (node: Expression): boolean =>
    (node.type === 'name' && node.name === name) || children(node).some(inExpression);
  return body.some((statement) => {
    const { expressions, bodies } = parts(statement);
    return expressions.some(inExpression) || bodies.some((inner) => reads(inner, name));
  });
}
