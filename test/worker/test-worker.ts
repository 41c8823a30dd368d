import type { ShoalError } from '../../src/config/errors.ts';
import { MemoryTransport, type MemoryTransportOptions } from '../../src/mesh/memory-transport.ts';
import type { PeerMessage } from '../../src/mesh/protocol/control.ts';
import type { HoldMessage } from '../../src/worker/held-shard.ts';
import { WorkerHost } from '../../src/worker/host.ts';
import type { WorkerEvent } from '../../src/worker/worker-api.ts';
import { FakeTimers } from '../support/fake-timers.ts';
import { FakeDevice } from './fake-device.ts';
import { FAKE_SPEC } from './fake-engine.ts';
import { deal } from './pipeline.ts';

/** A whole worker without the Web Worker: fake devices, a clock of its own (or a shared one), and what it told. */
export class TestWorker {
  readonly name: string;
  readonly timers: FakeTimers;
  readonly devices: FakeDevice[] = [];
  readonly events: WorkerEvent[] = [];
  readonly host: WorkerHost;
  found: (device: FakeDevice) => void = () => {};
  heard: (event: WorkerEvent) => void = () => {};
  noDevice: ShoalError | null = null;

  constructor(name: string, { timers = new FakeTimers(), maxKeptBytes = 1e9 } = {}) {
    this.name = name;
    this.timers = timers;
    this.host = new WorkerHost({
      requestDevice: async () => {
        if (this.noDevice !== null) throw this.noDevice;
        const device = new FakeDevice();
        this.devices.push(device);
        this.found(device);
        return device;
      },
      emit: (event) => {
        this.events.push(event);
        this.heard(event);
      },
      timers,
      userAgent: 'test',
      maxKeptBytes,
    });
  }

  get device(): FakeDevice {
    return this.devices.at(-1)!;
  }

  detect() {
    return this.host.detect({ memoryBudgetBytes: 1_000, serverUrl: 'http://server:1' });
  }

  sent<Type extends PeerMessage['type']>(type: Type): Extract<PeerMessage, { type: Type }>[] {
    return this.events.flatMap((event) =>
      event.type === 'send' && event.message.type === type
        ? [event.message as Extract<PeerMessage, { type: Type }>]
        : [],
    );
  }
}

/** `hold` for stage `index` of `k` even ones. */
export function hold(shard: number, k = 1, index = 0): HoldMessage {
  return {
    type: 'hold',
    shard,
    model: 'fake',
    manifestPath: '/models/fake/manifest?x=1',
    filesPath: '/models/fake/',
    quantization: 'native',
    layers: deal(FAKE_SPEC.layers, k)[index]!,
  };
}

/** An open link between two workers. @returns the first one's end */
export function link(
  a: TestWorker,
  b: TestWorker,
  attempt = 1,
  options: MemoryTransportOptions = {},
): MemoryTransport {
  const [left, right] = MemoryTransport.pair(options);
  a.host.attach(b.name, attempt, left);
  b.host.attach(a.name, attempt, right);
  return left;
}

/** Links each to the next and the last to the first. */
export function ring(workers: readonly TestWorker[]): void {
  for (let index = 0; index + 1 < workers.length; index++) link(workers[index]!, workers[index + 1]!);
  if (workers.length > 2) link(workers[0]!, workers.at(-1)!);
}
