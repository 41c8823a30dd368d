import { COALESCE_GAP_BYTES, MAX_COALESCE_WASTE } from '../../config/limits.ts';
import type { TensorEntry } from './manifest.ts';

export interface PlannedTensor {
  readonly name: string;
  readonly entry: TensorEntry;
}

/** Tensors of one file that are read in one go, in the order of their bytes. */
export interface FileRun {
  readonly file: string;
  /** Bytes [start, end), gaps included. */
  readonly start: number;
  readonly end: number;
  readonly tensors: readonly PlannedTensor[];
}

/**
 * Joins neighbouring tensors into runs, so that a shard of two hundred tensors takes a few requests. Gaps are fetched in vain,
 * so they are bounded singly (COALESCE_GAP_BYTES) and in sum (MAX_COALESCE_WASTE of the tensors' bytes).
 */
export function planRuns(tensors: readonly PlannedTensor[]): FileRun[] {
  const inOrder = [...tensors].sort(
    (a, b) => compare(a.entry.file, b.entry.file) || a.entry.start - b.entry.start,
  );
  const tensorBytes = inOrder.reduce((sum, { entry }) => sum + entry.end - entry.start, 0);
  let wasteLeft = Math.floor(tensorBytes * MAX_COALESCE_WASTE);
  const runs: { file: string; start: number; end: number; tensors: PlannedTensor[] }[] = [];
  for (const tensor of inOrder) {
    const { file, start, end } = tensor.entry;
    const run = runs.at(-1);
    const gap = run === undefined || run.file !== file ? Number.POSITIVE_INFINITY : start - run.end;
    // A negative gap (two names for the same bytes) starts a run of its own.
    if (run !== undefined && gap >= 0 && gap <= Math.min(COALESCE_GAP_BYTES, wasteLeft)) {
      wasteLeft -= gap;
      run.end = end;
      run.tensors.push(tensor);
    } else {
      runs.push({ file, start, end, tensors: [tensor] });
    }
  }
  return runs;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
