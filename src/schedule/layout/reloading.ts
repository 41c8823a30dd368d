/** How long it takes a worker to load what it shall hold. */
import { covers, type LayerRange, type WorkerView } from '../mesh-view.ts';
import type { StageCosts } from '../stage-costs.ts';

const LOAD_BYTES_PER_SECOND = 20e6;
const CACHED_BYTES_PER_SECOND = 200e6;
/** Loading by one who holds nothing disturbs nobody; it decides between equals. */
const NEWCOMER_LOAD = 0.01;

/** @param current what it holds now. @returns seconds; 0 where that will do */
export function reloadSeconds(
  costs: StageCosts,
  worker: WorkerView,
  current: LayerRange | null,
  range: LayerRange | undefined,
): number {
  if (range === undefined || (current !== null && covers(current, range))) return 0;
  const bytes = costs.bytes(worker, range.start, range.end);
  const fresh = (bytes * uncachedLayers(worker.cached, range)) / (range.end - range.start);
  const seconds = fresh / LOAD_BYTES_PER_SECOND + (bytes - fresh) / CACHED_BYTES_PER_SECOND;
  return seconds * (current === null ? NEWCOMER_LOAD : 1);
}

function uncachedLayers(cached: readonly LayerRange[], { start, end }: LayerRange): number {
  let missing = 0;
  for (let layer = start; layer < end; layer++) {
    if (!cached.some((range) => range.start <= layer && range.end > layer)) missing++;
  }
  return missing;
}
