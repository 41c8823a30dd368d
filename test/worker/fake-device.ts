import { ShoalError } from '../../src/config/errors.ts';
import type { LoadRequest, WorkerDevice } from '../../src/worker/device.ts';
import { FakeEngine, type FakeEngineOptions } from './fake-engine.ts';

/** A device whose shards are fake engines; loads wait for `gate`, and the device can be lost at will. */
export class FakeDevice implements WorkerDevice {
  readonly capability = {
    adapter: { vendor: 'test', architecture: 'fake', description: 'integers', isFallback: true },
    maxBufferBytes: 1e9,
    maxStorageBindingBytes: 1e9,
    gemvMacsPerSecond: 1e9,
  };
  readonly engines: FakeEngine[] = [];
  readonly requests: LoadRequest[] = [];
  readonly lost: Promise<ShoalError>;
  lose: (message: string) => void = () => {};
  destroyed = false;
  gate: Promise<void> = Promise.resolve();
  failure: ShoalError | null = null;
  engineOptions: FakeEngineOptions = {};

  constructor() {
    this.lost = new Promise((resolve) => {
      this.lose = (message) => resolve(new ShoalError('DEVICE_LOST', message));
    });
  }

  async load(request: LoadRequest, signal: AbortSignal) {
    this.requests.push(request);
    for (let done = 0; done <= 100; done += 10) request.onProgress('download', done, 100);
    request.onProgress('verify', 100, 100);
    request.onProgress('compile', 0, 1);
    await this.gate;
    if (signal.aborted) throw new ShoalError('ABORTED', 'stopped');
    if (this.failure !== null) throw this.failure;
    const engine = new FakeEngine(request.shard, this.engineOptions);
    this.engines.push(engine);
    return { engine, downloadedBytes: 100 };
  }

  destroy(): void {
    this.destroyed = true;
    this.lose('destroyed');
  }
}
