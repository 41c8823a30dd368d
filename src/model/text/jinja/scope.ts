import { TemplateError } from './errors.ts';
import { each } from './iterate.ts';
import { spend } from './meter.ts';
import type { Target } from './nodes.ts';
import { Namespace, type Value } from './value.ts';

/** Names and their values; what an inner scope sets is gone with it. */
export class Scope {
  private readonly values = new Map<string, Value>();
  readonly outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.outer = outer;
  }
  get(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.outer) {
      spend(1);
      const value = scope.values.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }
  set(name: string, value: Value): void {
    this.values.set(name, value);
  }
}

/** Whether the target is made of namespaces where it must be; asked before the value is worked out, as in jinja2. */
export function checkTarget(scope: Scope, target: Target): void {
  if (target.type === 'targets') for (const item of target.items) checkTarget(scope, item);
  else if (target.type === 'member' && !(scope.get(target.name) instanceof Namespace)) {
    throw new TemplateError('cannot assign attribute on non-namespace object');
  }
}

/** @throws TemplateError when several targets do not fit the value */
export function assign(scope: Scope, target: Target, value: Value): void {
  if (target.type === 'name') scope.set(target.name, value);
  else if (target.type === 'member') {
    const namespace = scope.get(target.name);
    checkMember(target.attribute);
    if (namespace instanceof Namespace) namespace.attributes.set(target.attribute, value);
  } else {
    const items = Array.from(each(value));
    if (items.length !== target.items.length) {
      throw new TemplateError(`${items.length} values for ${target.items.length} names`);
    }
    for (const [index, item] of target.items.entries()) assign(scope, item, items[index]!);
  }
}

export function checkMember(name: string): void {
  if (name.startsWith('_')) {
    throw new TemplateError(
      `Chat templates cannot store underscore-prefixed attributes on a namespace, but got '${name}'`,
    );
  }
}
