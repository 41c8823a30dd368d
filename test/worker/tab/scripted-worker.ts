import type { Capability, HeldShard, RunningSequence } from '../../../src/mesh/protocol/control.ts';
import type { TabWorker } from '../../../src/worker/tab/tab-worker.ts';
import type { Detected, WorkerCommand, WorkerEvent, WorkerReport } from '../../../src/worker/worker-api.ts';

export const CAPABILITY: Capability = {
  adapter: { vendor: 'test', architecture: 'none', description: 'a test', isFallback: true },
  maxBufferBytes: 1,
  maxStorageBindingBytes: 1,
  memoryBudgetBytes: 1_000,
  gemvMacsPerSecond: 1,
  userAgent: 'test',
};

/** A worker that does what the test says, and remembers what it was asked. */
export class ScriptedWorker implements TabWorker {
  detected: Detected = { ok: true, capability: CAPABILITY };
  has: WorkerReport = { held: [], links: [], running: [] };
  /** Reports wait until `tell` brings them. */
  isSlow = false;
  readonly calls: string[] = [];
  readonly accepted: [string, number, unknown][] = [];
  lastReport = 0;
  onEvent: (event: WorkerEvent) => void = () => {};

  async detect() {
    return this.detected;
  }
  command(command: WorkerCommand) {
    this.calls.push(command.type);
  }
  report(id: number) {
    this.lastReport = id;
    if (!this.isSlow) this.tellReport(id);
  }
  tellReport(id = this.lastReport) {
    this.onEvent({ type: 'report', id, ...this.has });
  }
  server(isThere: boolean) {
    this.calls.push(isThere ? 'server there' : 'server away');
  }
  accept(peer: string, attempt: number, end: unknown) {
    this.accepted.push([peer, attempt, end]);
  }
  dropLink(peer: string) {
    this.calls.push(`drop link ${peer}`);
  }
  tellLink(peer: string) {
    this.calls.push(`tell link ${peer}`);
  }
  endSession() {
    this.calls.push('end session');
  }
  async stop() {
    this.calls.push('stop');
  }
  terminate() {
    this.calls.push('terminate');
  }
}

export function heldShard(shard: number, start = 0, end = 8): HeldShard {
  const layers = { start, end, embedding: start === 0, head: end === 8 };
  return { shard, model: 'fake', quantization: 'native', layers, gpuBytes: 3 };
}

export function running(sequence: number, stages = 1): RunningSequence {
  const route = Array.from({ length: stages }, (_, i) => ({
    peer: `peer-${i}`,
    name: `tab ${i}`,
    start: i,
    end: i + 1,
  }));
  return { sequence, epoch: 1, shard: 1, index: 0, route, wire: 'f16' };
}
