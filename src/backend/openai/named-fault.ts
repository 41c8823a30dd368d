/** What a schema finds wrong, with the path of it in the client's request. */
import type { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { MAX_SHOWN_PARAMETER_CHARS } from '../../config/limits.ts';

/** @throws INVALID_REQUEST with the path of the first thing that is wrong */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = deepestIssue(result.error.issues[0]!);
  const param = shownPath(path);
  throw new ShoalError('INVALID_REQUEST', `${param}: ${message}`, { param });
}

/** A name in it may be the client's own text, a megabyte long. */
export const shownPath = (path: readonly PropertyKey[]): string =>
  path.map((key) => String(key).slice(0, MAX_SHOWN_PARAMETER_CHARS)).join('.');

/** A union's own message is "Invalid input": the branch that got furthest says what is wrong. */
function deepestIssue(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string } {
  if (issue.code === 'invalid_key' && issue.issues[0] !== undefined) {
    return { path: issue.path, message: issue.issues[0].message };
  }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) {
    return { path: issue.path, message: issue.message };
  }
  const branches = issue.errors.flatMap((branch) =>
    branch[0] === undefined ? [] : [deepestIssue(branch[0])],
  );
  const furthest = branches.reduce((a, b) => (isFurther(b.path, a.path) ? b : a));
  if (furthest.path.length > 0) return { path: [...issue.path, ...furthest.path], message: furthest.message };
  // No branch fits even the type: all of them are named. A branch that fits the type but breaks a bound stands alone.
  const bound = branches.find(({ message }) => !message.startsWith('Invalid input'));
  const message = bound?.message ?? [...new Set(branches.map((branch) => branch.message))].join(', or ');
  return { path: issue.path, message };
}

/** Deeper, or as deep and later in a list. */
function isFurther(path: readonly PropertyKey[], than: readonly PropertyKey[]): boolean {
  if (path.length !== than.length) return path.length > than.length;
  const at = path.findIndex((key, index) => key !== than[index]);
  const [key, other] = [path[at], than[at]];
  return typeof key === 'number' && typeof other === 'number' && key > other;
}
