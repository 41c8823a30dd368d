/**
 * Parallax' allocation of layers, as published: Tong et al., "Parallax: Efficient LLM Inference Service over Decentralized
 * Environment" (arXiv 2509.26182), phase 1: workers are joined into pipelines of few stages, largest first with a look ahead, the
 * layers of each pipeline are dealt by water-filling, and who is left, or comes later, takes the layers that are held least.
 */
import type { LayerRange } from '../../schedule/mesh-view.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import type { BaselineWorker } from './worker.ts';

const BISECTIONS = 40;

/** @returns ranges by worker; of a mesh that holds no whole pipeline, none */
export function parallaxAllocate(
  costs: StageCosts,
  workers: readonly BaselineWorker[],
): Map<string, LayerRange> {
  const ranges = new Map<string, LayerRange>();
  const capacity = new Map(workers.map((worker) => [worker, layersOf(costs, worker)]));
  const left = workers
    .filter((worker) => capacity.get(worker)! > 0)
    .sort((a, b) => capacity.get(b)! - capacity.get(a)!);
  for (;;) {
    const pipeline = nextPipeline(costs, left, capacity);
    if (pipeline === null) break;
    const dealt = waterFill(costs, pipeline);
    if (dealt === null) break;
    for (const [worker, range] of dealt) ranges.set(worker.id, range);
    for (const worker of pipeline) left.splice(left.indexOf(worker), 1);
  }
  if (ranges.size === 0) return ranges;
  const memory = layerMemory(costs, workers, ranges);
  for (const worker of left) {
    const range = parallaxJoin(costs, worker, memory);
    if (range === null) continue;
    ranges.set(worker.id, range);
    addMemory(memory, worker, range);
  }
  return ranges;
}

/** What a worker that joins later takes: as many layers as fit from the one that is held least. @param memory of each layer */
export function parallaxJoin(
  costs: StageCosts,
  worker: BaselineWorker,
  memory: readonly number[],
): LayerRange | null {
  const start = memory.indexOf(Math.min(...memory));
  const end = costs.reachFrom(worker, start);
  return end > start ? { start, end } : null;
}

/** How much memory is there for each layer: by it Parallax tells which is held least. */
export function layerMemory(
  costs: StageCosts,
  workers: readonly BaselineWorker[],
  ranges: ReadonlyMap<string, LayerRange>,
): number[] {
  const memory = new Array<number>(costs.layers).fill(0);
  for (const worker of workers) {
    const range = ranges.get(worker.id);
    if (range !== undefined) addMemory(memory, worker, range);
  }
  return memory;
}

function addMemory(memory: number[], worker: BaselineWorker, { start, end }: LayerRange): void {
  for (let layer = start; layer < end; layer++) memory[layer]! += worker.memoryBytes / (end - start);
}

function layersOf(costs: StageCosts, worker: BaselineWorker): number {
  const from = Math.min(1, costs.layers - 1);
  return Math.max(costs.reachFrom(worker, from) - from, costs.reachFrom(worker, 0));
}

/** Largest first; the first is the smallest that does it alone where what is left is enough for another pipeline. */
function nextPipeline(
  costs: StageCosts,
  left: readonly BaselineWorker[],
  capacity: ReadonlyMap<BaselineWorker, number>,
): BaselineWorker[] | null {
  const { layers } = costs;
  const total = left.reduce((sum, worker) => sum + capacity.get(worker)!, 0);
  if (total < layers) return null;
  const alone = left.findLast((worker) => costs.fits(worker, 0, layers));
  if (alone !== undefined && total - capacity.get(alone)! >= layers) return [alone];
  const pipeline: BaselineWorker[] = [];
  for (const worker of left) {
    pipeline.push(worker);
    if (reachOf(costs, pipeline) === layers) return pipeline;
  }
  return null;
}

function reachOf(costs: StageCosts, workers: readonly BaselineWorker[]): number {
  let at = 0;
  for (const worker of workers) at = costs.reachFrom(worker, at);
  return at;
}

/** Layers in proportion to speed, within what each can hold: the level at which all of them are dealt; fractions by remainder. */
function waterFill(
  costs: StageCosts,
  pipeline: readonly BaselineWorker[],
): Map<BaselineWorker, LayerRange> | null {
  const { layers } = costs;
  const most = pipeline.map((worker, index) => {
    if (pipeline.length === 1) return layers;
    if (index === 0) return costs.reachFrom(worker, 0);
    if (index === pipeline.length - 1) return layers - costs.reachTo(worker, layers);
    return costs.reachFrom(worker, 1) - 1;
  });
  const speed = pipeline.map(({ macsPerSecond }) => macsPerSecond);
  const dealtAt = (level: number) => most.map((cap, index) => Math.min(cap, level * speed[index]!));
  const sum = (parts: readonly number[]) => parts.reduce((total, part) => total + part, 0);
  if (sum(most) < layers) return null;
  let [low, high] = [0, Math.max(...most.map((cap, index) => cap / speed[index]!))];
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (sum(dealtAt(middle)) >= layers) high = middle;
    else low = middle;
  }
  const target = dealtAt(high);
  const counts = target.map((part) => Math.floor(part));
  const byRemainder = [...pipeline.keys()].sort(
    (a, b) => target[b]! - counts[b]! - (target[a]! - counts[a]!),
  );
  for (let rest = layers - sum(counts); rest > 0; ) {
    const before = rest;
    for (const index of byRemainder) {
      if (rest === 0 || counts[index]! >= most[index]!) continue;
      counts[index]!++;
      rest--;
    }
    if (rest === before) return null;
  }
  const dealt = new Map<BaselineWorker, LayerRange>();
  let start = 0;
  for (const [index, worker] of pipeline.entries()) {
    const end = start + counts[index]!;
    if (end > start) dealt.set(worker, { start, end });
    start = end;
  }
  return dealt;
}
