import type { ProbeResult } from '../gpu/autotune.ts';

/** How the worker reports its probe on the console; `shoal worker` passes such lines on. */
const PROBE_LINE = 'shoal-kernels ';

/** Which kernels an adapter runs, and why: the measurements of all that were tried. One line, for people. */
export function probeLine({ tuning, gemvMacsPerSecond, measuredMs, bitsClass }: ProbeResult): string {
  const measured = Object.entries(measuredMs).map(([name, ms]) => `${name} ${Number(ms.toPrecision(2))} ms`);
  const expanded = tuning.expandF16 ? ', f16 weights as f32' : '';
  return `${PROBE_LINE}${tuning.matmulFew} (few rows), ${tuning.matmulMany} (many), ${tuning.reduction} (norms, attention)${expanded}; ${Math.round(gemvMacsPerSecond / 1e6)} MMAC/s; class ${bitsClass.slice(0, 8)}; ${measured.join(', ')}`;
}

/** @returns null for a console line that is something else */
export function parseProbeLine(line: string): string | null {
  return line.startsWith(PROBE_LINE) ? `kernels: ${line.slice(PROBE_LINE.length, 500)}` : null;
}
