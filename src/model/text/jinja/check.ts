/** What jinja2 refuses when it compiles a template. */
import { TemplateError } from './errors.ts';
import type { Names } from './filter.ts';
import type { Body, Expression, Statement } from './nodes.ts';
import { children, parts } from './walk.ts';

type Known = Pick<Names, 'hasFilter' | 'hasTest'>;

/**
 * Unknown filters and tests. Within a condition, but not within a loop or macro in there, they only fail when they are reached.
 * @throws TemplateError
 */
export function checkNames(body: Body, known: Known, lenient = false): void {
  for (const statement of body) checkStatement(statement, known, lenient);
}

function checkStatement(statement: Statement, known: Known, lenient: boolean): void {
  const { expressions, bodies } = parts(statement);
  const isCondition = statement.type === 'if';
  for (const node of expressions) checkExpression(node, known, lenient || isCondition);
  for (const body of bodies) checkNames(body, known, isCondition);
}

function checkExpression(node: Expression, known: Known, lenient: boolean): void {
  if (!lenient) {
    if (node.type === 'filter' && !known.hasFilter(node.name))
      throw new TemplateError(`No filter named '${node.name}'`);
    if (node.type === 'test' && !known.hasTest(node.name))
      throw new TemplateError(`No test named '${node.name}'`);
  }
  for (const child of children(node)) checkExpression(child, known, lenient || node.type === 'if');
}
