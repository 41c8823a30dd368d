/** What never ends is stopped by its steps, here after fewer: to take all that a template may takes seconds. */
import { expect, it, vi } from 'vitest';
import { Template } from '../../../../src/model/text/jinja/template.ts';

vi.mock('../../../../src/config/limits.ts', async (original) => ({
  ...(await original<typeof import('../../../../src/config/limits.ts')>()),
  MAX_TEMPLATE_STEPS: 100_000,
}));

it.each([
  '{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}',
  // Lists of a list, each twice as large: a few lines that print, compare or write 2^60 items.
  '{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}',
  '{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}',
  '{% set ns = namespace(l=[0], m=[0]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}',
])('%s', (source) => {
  expect(() => new Template(source).render({}, { strftimeNow: () => '' })).toThrow('more than 100000 steps');
});
