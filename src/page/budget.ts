/** GB here and in `--memory` is 10⁹ bytes, as in every size that the page shows. */
const GB = 1e9;

/** What a contributor chooses from. */
export const BUDGETS_GB = [0.5, 1, 2, 4, 8, 16];
export const DEFAULT_BUDGET_GB = 2;

/** Whole bytes, for the wire takes no others: 1.1 GB is 1,100,000,000.0000001 in floating point. */
export function budgetBytes(gb: number): number {
  return Math.floor(gb * GB);
}
