import { expect, it } from 'vitest';
import { capabilitySchema } from '../../src/mesh/protocol/control.ts';
import { BUDGETS_GB, budgetBytes } from '../../src/page/budget.ts';
import { formatBytes } from '../../src/page/format.ts';

it.each([0.1, 1.1, 1.3, 2.2, 1023.7, ...BUDGETS_GB])(
  '%d GB is a number of bytes that the wire takes',
  (gb) => {
    const bytes = budgetBytes(gb);
    expect(capabilitySchema.shape.memoryBudgetBytes.parse(bytes)).toBe(bytes);
  },
);

it('counts in the units that the page shows', () => {
  expect(formatBytes(budgetBytes(4))).toBe('4.0 GB');
});
