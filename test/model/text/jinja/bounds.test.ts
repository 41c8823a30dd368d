/** A template and a conversation are both untrusted: what would fill the memory or never end is refused, by its own name. */
import { describe, expect, it } from 'vitest';
import { MAX_TEMPLATE_DEPTH } from '../../../../src/config/limits.ts';
import { TemplateError } from '../../../../src/model/text/jinja/errors.ts';
import { Template } from '../../../../src/model/text/jinja/template.ts';

const render = (source: string, variables: Record<string, unknown> = {}) =>
  new Template(source).render(variables, { strftimeNow: () => '' });

function failureOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (cause) {
    return cause;
  }
}

const nested = (open: string, inner: string, close: string, times: number) =>
  open.repeat(times) + inner + close.repeat(times);

const STEPS = /more than \d+ steps/;
const TEXT = /a text of \d+ characters/;
const ITEMS = /at most \d+ are made/;
const DEPTH = /nested deeper than/;

describe('a template that asks for too much', () => {
  it.each<[string, RegExp]>([
    ["{{ 'a' * 10**9 }}", TEXT],
    ["{{ 'a' * 10**9 ~ 'b' }}", TEXT],
    ["{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", TEXT],
    ["{{ ('a' * 4000000).replace('', 'bb') }}", TEXT],
    ["{{ ('b' * 1000000).join(['', '', '', '', '', '']) }}", TEXT],
    ["{{ 'x'.center(10**9) }}{{ 1 }}", TEXT],
    ["{{ 'x'.zfill(10**9) }}", TEXT],
    ["{{ 'x' | center(10**9) }}", TEXT],
    ["{{ 'x' | indent(10**9) }}", TEXT],
    ["{{ ('\\t' * 1000000).expandtabs(1000) }}", TEXT],
    ["{{ '%1000000000d' % 1 }}", TEXT],
    ["{{ '{:1000000000}'.format(1) }}", TEXT],
    ['{{ [1] | tojson(indent=10**9) }}', TEXT],
    ["{{ ('<' * 2000000) | e }}", TEXT],
    ["{% for i in range(100000) %}{{ 'x' * 100 }}{% endfor %}", TEXT],
    ["{% set x %}{% for i in range(100000) %}{{ 'x' * 100 }}{% endfor %}{% endset %}", TEXT],
    ['{{ [0] * 10**9 }}', ITEMS],
    ['{{ range(10**9) }}', ITEMS],
    ['{{ [1] | batch(10**9, 0) | list }}', ITEMS],
    ['{{ [1] | slice(10**9) | list }}', ITEMS],
    [
      '{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}',
      ITEMS,
    ],
    ['{{ 10 ** 100000 }}', /an integer this large/],
    [
      '{% set ns = namespace(n=10) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}',
      /an integer this large/,
    ],
    [
      "{% set ns = namespace(t='') %}{% for a in range(100000) %}{% set ns.t = ns.t ~ 'some text' %}{% endfor %}",
      STEPS,
    ],
    ["{% for a in range(100000) %}{% if ('a' * 1000000) == ('a' * 1000000) %}{% endif %}{% endfor %}", STEPS],
    ["{{ ('b' + 'a' * 1000000) in 'a' * 4000000 }}", STEPS],
    ["{{ ('a' * 4000000).count('a' * 100000 ~ 'b') }}", STEPS],
    ["{{ ('a ' * 1000000).split(none, 999999) | length }}", STEPS],
    [
      '{% set ns = namespace(l=()) %}{% for i in range(60) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}',
      TEXT,
    ],
    ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', DEPTH],
    [
      '{% macro m() %}{{ caller() }}{{ m() }}{% endmacro %}{% call m() %}x{% endcall %}',
      /'No caller|No caller|nested/,
    ],
    ['{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', DEPTH],
    [
      '{% set ns = namespace(l=[]) %}{% for i in range(10000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}',
      DEPTH,
    ],
    [
      '{% set ns = namespace(l=[]) %}{% for i in range(10000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}',
      DEPTH,
    ],
  ])('%s', (source, message) => {
    const failure = failureOf(() => render(source));
    expect(failure).toBeInstanceOf(TemplateError);
    expect((failure as TemplateError).message).toMatch(message);
  });

  it.each([
    ['brackets', nested('(', '1', ')', 1_000)],
    ['lists', nested('[', '', ']', 1_000)],
    ['subscripts', `a${nested('[', '0', ']', 1_000)}`],
    ['not', `${'not '.repeat(1_000)}1`],
    ['minus', `${'- '.repeat(1_000)}1`],
    ['conditions', `${'1 if 0 else '.repeat(1_000)}1`],
  ])('with too many %s within each other is not read', (_, expression) => {
    expect(() => new Template(`{{ ${expression} }}`)).toThrow(DEPTH);
  });

  it('with too many tags within each other is not read', () => {
    expect(() => new Template(nested('{% if 1 %}', '', '{% endif %}', 1_000))).toThrow(DEPTH);
    expect(() => new Template(nested('{% for i in [1] %}', '', '{% endfor %}', 1_000))).toThrow(DEPTH);
  });

  it('with long chains is read, or refused as too deep', () => {
    for (const source of [
      "'a'".concat(" + 'a'".repeat(20_000)),
      'a'.concat('.b'.repeat(20_000)),
      'a'.concat(' | upper'.repeat(20_000)),
    ]) {
      let found: unknown = '';
      try {
        found = render(`{{ ${source} }}`, { a: 'x' });
      } catch (cause) {
        found = cause;
      }
      expect(typeof found === 'string' || found instanceof TemplateError, source.slice(0, 20)).toBe(true);
    }
  });

  it('is one thing, a long text cut into its words another', () => {
    expect(render("{{ ('a ' * 400000).split() | length }}")).toBe('400000');
  });

  it('runs again from nothing: one that failed leaves no debt', () => {
    expect(() => render('{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}')).toThrow(DEPTH);
    expect(
      render(
        nested('(', '1', ')', MAX_TEMPLATE_DEPTH / 4)
          .replace(/^/, '{{ ')
          .replace(/$/, ' }}'),
      ),
    ).toBe('1');
  });
});

it('hides the platform', () => {
  const names = [
    'constructor',
    '__proto__',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    '__defineGetter__',
    'call',
    'apply',
    'bind',
  ];
  const values = [
    'd',
    'l',
    's',
    '1',
    '1.5',
    'none',
    'true',
    '(1,)',
    'namespace()',
    'd.items',
    'range',
    'd.items()',
    'loop',
  ];
  for (const value of values) {
    for (const name of names) {
      for (const source of [
        `{{ ${value}.${name} is defined }}`,
        `{{ ${value}['${name}'] is defined }}`,
        `{{ ${value} | attr('${name}') is defined }}`,
      ]) {
        const found = (() => {
          try {
            return render(`{% for i in [1] %}{% set x = loop %}${source}{% endfor %}`, {
              d: { a: 1 },
              l: [1],
              s: 'x',
            });
          } catch (cause) {
            return cause;
          }
        })();
        if (found !== 'False') expect(found, source).toBeInstanceOf(TemplateError);
      }
    }
  }
  expect(render("{{ d['__proto__'] }}{{ d.a }}", { d: JSON.parse('{"__proto__": "own", "a": 1}') })).toBe(
    'own1',
  );
});
