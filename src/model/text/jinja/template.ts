/**
 * Jinja as Python's jinja2 has it when `transformers` renders a chat template (jinja2 3.1, `_compile_jinja_template`): the immutable
 * sandbox, trim_blocks, lstrip_blocks, loop controls, `{% generation %}`, its own `tojson`, no other templates. What it prints, this prints
 * (test/model/jinja/differential.test.ts); what is not here fails by its name. A template and a conversation are both untrusted: work,
 * depth and text are bounded (meter.ts), and no value is an object of the platform.
 */
import { checkNames } from './check.ts';
import { TemplateError } from './errors.ts';
import { NAMES } from './expressions.ts';
import { fromJson } from './from-json.ts';
import { createGlobals } from './globals.ts';
import { metered } from './meter.ts';
import type { Body } from './nodes.ts';
import { parseTemplate } from './parser.ts';
import { Scope } from './scope.ts';
import { Output, run } from './statements.ts';

export interface TemplateEnvironment {
  /** The time now, in a format of C's strftime. */
  readonly strftimeNow: (format: string) => string;
}

export class Template {
  private readonly body: Body;

  /** @throws TemplateError */
  constructor(source: string) {
    this.body = withinStack(() => {
      const body = parseTemplate(source);
      checkNames(body, NAMES);
      return body;
    });
  }

  /** @param variables values of JSON. @throws TemplateError */
  render(variables: Readonly<Record<string, unknown>>, { strftimeNow }: TemplateEnvironment): string {
    return metered(() => {
      const globals = new Scope();
      for (const [name, value] of createGlobals(strftimeNow)) globals.set(name, value);
      const root = new Scope(globals);
      for (const [name, value] of Object.entries(variables))
        if (value !== undefined) root.set(name, fromJson(value));
      const out = new Output();
      withinStack(() => run(this.body, root, root, out));
      return out.text;
    });
  }
}

/** Brackets, tags and macros are counted; a chain of twenty thousand `+` is a tree as deep, and how deep a stack goes differs. */
function withinStack<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new TemplateError('it is nested deeper than the stack allows', { cause });
  }
}
