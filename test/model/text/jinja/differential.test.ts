/**
 * Every case of the fixture prints what Python's jinja2 prints, set up as transformers does it, or fails where that fails
 * (tools/chat-templates/generate.py records it). What is refused here and printed there is listed by name.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { NotSupported, TemplateError } from '../../../../src/model/text/jinja/errors.ts';
import { Template } from '../../../../src/model/text/jinja/template.ts';
import { strftime } from '../../../../src/model/text/strftime.ts';

interface Fixture {
  readonly now: readonly [number, number, number, number, number, number];
  readonly contexts: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** A text of null: jinja2 raises. */
  readonly cases: readonly (readonly [template: string, context: string, text: string | null])[];
}

const file = new URL('../../../fixtures/chat-templates.json.gz', import.meta.url);
const { now, contexts, cases }: Fixture = JSON.parse(gunzipSync(readFileSync(file)).toString());
const [year, month, ...time] = now;
const clock = new Date(year, month - 1, ...time);

/** What jinja2 prints and this refuses, and why: no chat template is known to use it. */
const REFUSED = [
  /^the filter (?:pprint|wordwrap|xmlattr|random) /,
  /^\{% autoescape %\} /,
  /^self /,
  // What prints of a function is an address, or a text that nothing shows.
  /^printing the function /,
  /^(?:str\.encode|int\.bit_length|the format n|\\N\{…\} in a text|dividing large integers) /,
  /^(?:this filter on|a slice of) escaped text /,
  /^striptags of text with entities /,
  /^sameas on texts and numbers /,
  /^tojson with separators other than texts /,
  // jinja2 itself raises unless all of it is constant.
  /^a slice (?:of|from or to a) '(?:NoneType|int|bool|float|str)' /,
];

function outcome(template: string, context: string): string | TemplateError {
  try {
    return new Template(template).render(contexts[context]!, {
      strftimeNow: (format) => strftime(clock, format),
    });
  } catch (cause) {
    if (cause instanceof TemplateError) return cause;
    throw new Error(`${template} fails otherwise: ${cause}`, { cause });
  }
}

describe('chat templates', () => {
  it('print what jinja2 prints, or fail where it fails', () => {
    expect(cases.length).toBeGreaterThan(12_000);
    const wrong: unknown[] = [];
    const refused: string[] = [];
    for (const [template, context, text] of cases) {
      const found = outcome(template, context);
      if (found instanceof NotSupported && text !== null) refused.push(found.message);
      else if ((found instanceof TemplateError ? null : found) !== text)
        wrong.push({ template, context, text, found });
    }
    expect(wrong).toEqual([]);
    expect(refused.filter((message) => !REFUSED.some((known) => known.test(message)))).toEqual([]);
    expect(refused.length).toBeLessThan(cases.length / 100);
  });

  it('print whole conversations without a refusal', () => {
    const conversations = cases.filter(
      ([template, , text]) => template.includes('messages') && text !== null,
    );
    expect(conversations.length).toBeGreaterThan(150);
    for (const [template, context, text] of conversations) expect(outcome(template, context)).toBe(text);
  });
});
