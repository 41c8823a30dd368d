import { ShoalError } from '../../config/errors.ts';
import { printableLines } from '../printable.ts';

export interface Finding {
  /** `failure`: something that is needed does not work; `warning`: it works, but not as well as it could. */
  readonly state: 'ok' | 'warning' | 'failure';
  readonly detail: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface Check {
  readonly name: string;
  run(signal: AbortSignal): Promise<Finding>;
}

export interface Found extends Finding {
  readonly name: string;
}

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
export const warning = (detail: string, remedy: string): Finding => ({ state: 'warning', detail, remedy });
export const failure = (detail: string, remedy?: string): Finding => ({
  state: 'failure',
  detail,
  ...(remedy !== undefined && { remedy }),
});

/** Starts all checks and tells each finding in the order of the checks, as soon as those before it are told. */
export async function runChecks(
  checks: readonly Check[],
  signal: AbortSignal,
  onFound: (found: Found) => void = () => {},
): Promise<Found[]> {
  const running = checks.map(async (check): Promise<Found> => {
    try {
      return { name: check.name, ...(await check.run(signal)) };
    } catch (error) {
      return { name: check.name, ...failure(ShoalError.from(error).message) };
    }
  });
  const found: Found[] = [];
  for (const pending of running) {
    const finding = await pending;
    signal.throwIfAborted();
    found.push(finding);
    onFound(finding);
  }
  return found;
}

const MARKS = { ok: '✓', warning: '!', failure: '✗' } as const;
const COLOURS = { ok: 32, warning: 33, failure: 31 } as const;
const NAME_WIDTH = 10;

/** One line; further ones, and the remedy, stand below the first. */
export function findingLines({ name, state, detail, remedy }: Found, isColoured: boolean): string {
  const mark = isColoured ? `\x1b[${COLOURS[state]}m${MARKS[state]}\x1b[0m` : MARKS[state];
  const below = `\n${' '.repeat(NAME_WIDTH + 4)}`;
  const lines = printableLines(detail).split('\n').join(below);
  return `${mark} ${name.padEnd(NAME_WIDTH)}  ${lines}${remedy === undefined ? '' : `${below}→ ${remedy}`}\n`;
}
