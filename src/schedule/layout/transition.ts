/**
 * From what is held to what shall be held, a few steps at a time. Asked anew whenever a shard has loaded, gone, or idled:
 * what it allows then never leaves a layer without a worker that had one, and never asks for more memory than is lent.
 */
import { covers, type LayerRange, type WorkerView } from '../mesh-view.ts';
import type { StageCosts } from '../stage-costs.ts';

export interface Step extends LayerRange {
  readonly worker: string;
}

export interface Transition {
  /** To load now: they fit beside what is held. */
  readonly hold: readonly Step[];
  /** To free now: not wanted, and every layer of them is held by others as well. */
  readonly drop: readonly Step[];
  /** To load once memory is free; of a worker whose old layers nobody else holds yet, or on which sequences run. */
  readonly blocked: readonly Step[];
}

export interface TransitionOptions {
  /** Nobody uses the mesh now: where a worker has no room for both, old layers may go before the new ones are there. */
  readonly mayGap: boolean;
  /** Whether sequences run on this shard; such a one is not dropped. */
  readonly isUsed: (worker: string, range: LayerRange) => boolean;
}

/** @param wanted at most one range a worker; workers that are not in it shall hold nothing */
export function transition(
  costs: StageCosts,
  workers: readonly WorkerView[],
  wanted: ReadonlyMap<string, LayerRange>,
  options: TransitionOptions,
): Transition {
  const holders = new Array<number>(costs.layers).fill(0);
  for (const { held } of workers) {
    for (const range of held) if (range.state === 'held') add(holders, range, 1);
  }
  const [hold, drop, blocked]: [Step[], Step[], Step[]] = [[], [], []];
  for (const worker of workers) {
    const target = wanted.get(worker.id);
    const has = target === undefined ? undefined : best(worker, target);
    // What the target's replacement waits for is there, so the rest may go. A load that is not wanted any more goes at once.
    const isThere = target === undefined || has?.state === 'held';
    let used = worker.held.reduce((sum, { bytes }) => sum + bytes, 0);
    const neededBytes =
      target === undefined || has !== undefined ? 0 : costs.bytes(worker, target.start, target.end);
    for (const range of worker.held) {
      if (range === has) continue;
      const isLoading = range.state === 'loading';
      const makesRoom = used + neededBytes > worker.memoryBytes;
      if (!isLoading && !isThere && !makesRoom) continue;
      if (!isLoading && options.isUsed(worker.id, range)) continue;
      if (!isLoading && !options.mayGap && !spares(holders, range)) continue;
      drop.push({ worker: worker.id, start: range.start, end: range.end });
      used -= range.bytes;
      if (!isLoading) add(holders, range, -1);
    }
    if (target === undefined || has !== undefined) continue;
    const step = { worker: worker.id, start: target.start, end: target.end };
    if (used + neededBytes <= worker.memoryBytes) hold.push(step);
    else blocked.push(step);
  }
  return { hold, drop, blocked };
}

/** What the worker has of the target: held rather than loading, the narrowest that covers it. */
function best(worker: WorkerView, target: LayerRange): WorkerView['held'][number] | undefined {
  return worker.held
    .filter((range) => covers(range, target))
    .sort(
      (a, b) =>
        Number(a.state === 'loading') - Number(b.state === 'loading') || a.end - a.start - (b.end - b.start),
    )[0];
}

function add(holders: number[], { start, end }: LayerRange, by: number): void {
  for (let layer = start; layer < end; layer++) holders[layer]! += by;
}

/** Whether every layer of the range has another holder. */
function spares(holders: readonly number[], { start, end }: LayerRange): boolean {
  for (let layer = start; layer < end; layer++) if (holders[layer]! < 2) return false;
  return true;
}
