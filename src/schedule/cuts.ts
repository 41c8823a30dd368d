/** Cutting a model's layers between workers whose order is given. */
import { costsOn, type ModelCosts } from './costs.ts';
import type { PlacedStage, PlacementWorker } from './placement.ts';

/**
 * The cuts that minimize the largest stage time and, among those, the sum of the squared stage times (so that the
 * other stages are even too). Each worker gets at least one layer. Dynamic programming over (worker, cut), O(K · L²).
 *
 * @returns the stages in the workers' order, or null when no cut respects every budget
 */
export function cutLayers(costs: ModelCosts, workers: readonly PlacementWorker[]): PlacedStage[] | null {
  const layers = costs.layers.length;
  if (workers.length === 0 || workers.length > layers) return null;
  const stageAt = stageFunction(costs, workers);
  const slowest = bestCuts(layers, workers.length, stageAt, Math.max, Number.POSITIVE_INFINITY);
  if (slowest === null) return null;
  const even = bestCuts(layers, workers.length, stageAt, (sum, time) => sum + time * time, slowest.value);
  const cuts = (even ?? slowest).cuts;
  return workers.map((_, index) => stageAt(index, cuts[index]!, cuts[index + 1]!)!);
}

/** The stage of worker `index` with layers [start, end); null where that is beyond the worker's budget. */
type StageFunction = (index: number, start: number, end: number) => PlacedStage | null;

function stageFunction(costs: ModelCosts, workers: readonly PlacementWorker[]): StageFunction {
  // Sums of everything before a layer, so that a range costs two look-ups.
  const sumsOf = new Map<ModelCosts, { bytesBefore: number[]; macsBefore: number[] }>();
  for (const worker of workers) {
    const own = costsOn(costs, worker);
    if (sumsOf.has(own)) continue;
    const [bytesBefore, macsBefore] = [[0], [0]];
    for (const layer of own.layers) {
      bytesBefore.push(bytesBefore.at(-1)! + layer.bytes);
      macsBefore.push(macsBefore.at(-1)! + layer.macs);
    }
    sumsOf.set(own, { bytesBefore, macsBefore });
  }
  return (index, start, end) => {
    const worker = workers[index]!;
    const own = costsOn(costs, worker);
    const { bytesBefore, macsBefore } = sumsOf.get(own)!;
    const embedding = index === 0;
    const head = index === workers.length - 1;
    const bytes =
      own.scratchBytes +
      (bytesBefore[end]! - bytesBefore[start]!) +
      (embedding ? own.embedding.bytes : 0) +
      (head ? own.head.bytes : 0) -
      (embedding && head ? own.tiedBytes : 0);
    if (bytes > worker.memoryBytes) return null;
    const macs =
      macsBefore[end]! -
      macsBefore[start]! +
      (embedding ? own.embedding.macs : 0) +
      (head ? own.head.macs : 0);
    return {
      worker: worker.id,
      shard: { start, end, embedding, head },
      seconds: macs / worker.gemvMacsPerSecond,
      bytes,
    };
  };
}

/**
 * @param add folds a stage's time into the value of the stages before it; the value is minimized
 * @param bound no stage may take longer
 */
function bestCuts(
  layers: number,
  count: number,
  stageAt: StageFunction,
  add: (value: number, seconds: number) => number,
  bound: number,
): { readonly value: number; readonly cuts: readonly number[] } | null {
  // value[end]: of the best cuts of layers [0, end) between the workers so far; from[index][end]: where the last starts.
  let value: number[] = Array.from({ length: layers + 1 }, (_, end) =>
    end === 0 ? 0 : Number.POSITIVE_INFINITY,
  );
  const from: number[][] = [];
  for (let index = 0; index < count; index++) {
    const next: number[] = new Array(layers + 1).fill(Number.POSITIVE_INFINITY);
    const starts: number[] = new Array(layers + 1).fill(-1);
    for (let end = index + 1; end <= layers - (count - 1 - index); end++) {
      for (let start = index; start < end; start++) {
        if (value[start] === Number.POSITIVE_INFINITY) continue;
        const stage = stageAt(index, start, end);
        if (stage === null || stage.seconds > bound) continue;
        const candidate = add(value[start]!, stage.seconds);
        if (candidate < next[end]!) {
          next[end] = candidate;
          starts[end] = start;
        }
      }
    }
    value = next;
    from.push(starts);
  }
  if (value[layers] === Number.POSITIVE_INFINITY) return null;
  const cuts = [layers];
  for (let index = count - 1; index >= 0; index--) cuts.unshift(from[index]![cuts[0]!]!);
  return { value: value[layers]!, cuts };
}
