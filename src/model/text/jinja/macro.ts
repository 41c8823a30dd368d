import { TemplateError } from './errors.ts';
import {
  type Arguments,
  Dict,
  type Keywords,
  orElse,
  Special,
  Tuple,
  Undefined,
  type Value,
} from './value.ts';

/** What a macro's body asks for beside its parameters. */
export interface MacroUses {
  readonly caller: boolean;
  readonly kwargs: boolean;
  readonly varargs: boolean;
}

/** Runs the body: `given` holds what was passed, by name; parameters that are not there take their defaults. */
export type MacroBody = (given: ReadonlyMap<string, Value>) => string;

export class Macro extends Special {
  readonly type = 'Macro';
  private readonly name: string | undefined;
  private readonly parameters: readonly string[];
  private readonly uses: MacroUses;
  private readonly body: MacroBody;

  constructor(name: string | undefined, parameters: readonly string[], uses: MacroUses, body: MacroBody) {
    super();
    this.name = name;
    this.parameters = parameters;
    this.uses = uses;
    this.body = body;
  }

  text(): string {
    return `<Macro ${this.name === undefined ? 'anonymous' : `'${this.name}'`}>`;
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case 'name':
        return this.name ?? null;
      case 'arguments':
        return new Tuple(this.parameters);
      case 'catch_kwargs':
        return this.uses.kwargs;
      case 'catch_varargs':
        return this.uses.varargs;
      case 'caller':
        return this.uses.caller;
      case 'explicit_caller':
        return false;
      default:
        return undefined;
    }
  }

  call(args: Arguments, keywords: Keywords): Value {
    const given = new Map<string, Value>();
    const left = new Map(keywords);
    for (const [index, name] of this.parameters.entries()) {
      const value = index < args.length ? args[index] : left.get(name);
      if (index >= args.length) left.delete(name);
      if (value !== undefined) given.set(name, value);
    }
    if (this.uses.caller) {
      given.set('caller', orElse(left.get('caller'), new Undefined('No caller defined')));
      left.delete('caller');
    }
    const what = this.name === undefined ? 'the caller' : `macro '${this.name}'`;
    if (this.uses.kwargs) given.set('kwargs', Dict.of(left));
    else
      for (const name of left.keys()) throw new TemplateError(`${what} takes no keyword argument '${name}'`);
    if (this.uses.varargs) given.set('varargs', new Tuple(args.slice(this.parameters.length)));
    else if (args.length > this.parameters.length) {
      throw new TemplateError(`${what} takes not more than ${this.parameters.length} argument(s)`);
    }
    return this.body(given);
  }
}
