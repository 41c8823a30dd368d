import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_ASSIGNMENTS, STATS_INTERVAL_MS } from '../../src/config/limits.ts';
import { MemoryTransport } from '../../src/mesh/memory-transport.ts';
import type { PeerMessage } from '../../src/mesh/protocol/control.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import type { AssignMessage } from '../../src/worker/assignment.ts';
import { WorkerHost } from '../../src/worker/host.ts';
import type { WorkerEvent } from '../../src/worker/worker-api.ts';
import { FakeTimers } from '../support/fake-timers.ts';
import { FakeDevice } from './fake-device.ts';
import { FAKE_SPEC, soloTokens } from './fake-engine.ts';
import { deal, turns } from './pipeline.ts';

const PROMPT = Array.from({ length: 100 }, (_, i) => (i * 7) % 1000);

class TestWorker {
  readonly name: string;
  readonly timers = new FakeTimers();
  readonly devices: FakeDevice[] = [];
  readonly events: WorkerEvent[] = [];
  readonly host: WorkerHost;
  found: (device: FakeDevice) => void = () => {};
  noDevice: ShoalError | null = null;

  constructor(name: string) {
    this.name = name;
    this.host = new WorkerHost({
      requestDevice: async () => {
        if (this.noDevice !== null) throw this.noDevice;
        const device = new FakeDevice();
        this.devices.push(device);
        this.found(device);
        return device;
      },
      emit: (event) => this.events.push(event),
      timers: this.timers,
      userAgent: 'test',
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

function assignments(workers: readonly TestWorker[], epoch: number): AssignMessage[] {
  const shards = deal(FAKE_SPEC.layers, workers.length);
  const stages = workers.map(({ name }, index) => ({ peer: name, name, shard: shards[index]! }));
  return workers.map((_, index) => ({
    type: 'assign',
    epoch,
    model: 'fake',
    manifestPath: '/models/fake/manifest?x=1',
    filesPath: '/models/fake/',
    quantization: 'native',
    index,
    stages,
  }));
}

function link(a: TestWorker, b: TestWorker, attempt = 1): MemoryTransport {
  const [left, right] = MemoryTransport.pair();
  a.host.attach(b.name, attempt, left);
  b.host.attach(a.name, attempt, right);
  return left;
}

async function mesh(k: number, epoch = 1): Promise<TestWorker[]> {
  const workers = Array.from({ length: k }, (_, index) => new TestWorker(`peer-${index}`));
  for (const worker of workers) await worker.detect();
  for (const [index, message] of assignments(workers, epoch).entries()) workers[index]!.host.command(message);
  await turns(3);
  return workers;
}

function ring(workers: readonly TestWorker[]): void {
  for (let index = 0; index + 1 < workers.length; index++) link(workers[index]!, workers[index + 1]!);
  if (workers.length > 2) link(workers[0]!, workers.at(-1)!);
}

async function generate(
  workers: readonly TestWorker[],
  epoch = 1,
  sequence = 1,
  maxTokens = 12,
): Promise<number[]> {
  for (const { host } of workers) {
    host.command({
      type: 'open',
      epoch,
      sequence,
      wire: 'f16',
      maxPositions: PROMPT.length + maxTokens,
      eosTokenIds: [],
      sampling: GREEDY,
      promptTokens: PROMPT.length,
    });
  }
  workers[0]!.host.command({ type: 'prompt', epoch, sequence, position: 0, ids: PROMPT, last: true });
  const last = workers.at(-1)!;
  for (let i = 0; i < 400 && !last.sent('token').some((token) => token.finish !== null); i++) await turns(1);
  for (const { host } of workers) host.command({ type: 'close', epoch, sequence });
  return last.sent('token').map(({ token }) => token);
}

describe('a worker', () => {
  it('offers nothing it was not asked for', () => {
    const worker = new TestWorker('peer-0');
    expect(worker.devices).toEqual([]);
    expect(worker.events).toEqual([]);
  });

  it('tells why there is no device', async () => {
    const worker = new TestWorker('peer-0');
    worker.noDevice = new ShoalError('NO_ADAPTER', 'no adapter');
    expect(await worker.detect()).toEqual({
      ok: false,
      error: { code: 'NO_ADAPTER', message: 'no adapter' },
    });
  });

  it('announces the device with the budget lent', async () => {
    const detected = await new TestWorker('peer-0').detect();
    expect(detected).toMatchObject({ ok: true, capability: { memoryBudgetBytes: 1_000, userAgent: 'test' } });
  });

  it.each([1, 2, 3, 8])('serves in a pipeline of %i with the tokens of the whole model', async (k) => {
    const workers = await mesh(k);
    if (k > 1) expect(workers.flatMap((worker) => worker.sent('ready'))).toEqual([]);
    ring(workers);
    await turns(2);
    for (const worker of workers) {
      expect(worker.sent('ready')).toMatchObject([{ epoch: 1, downloadedBytes: 100, gpuBytes: 3 }]);
    }
    expect(await generate(workers)).toEqual(soloTokens(PROMPT, 12, GREEDY));
    expect(workers.flatMap((worker) => worker.sent('sequence-failed'))).toEqual([]);
    expect(workers.map(({ device }) => device.engines[0]!.openSequences)).toEqual(workers.map(() => 0));
  });

  it('fetches from its own server, under its own shard', async () => {
    const [worker] = await mesh(1);
    expect(worker!.device.requests).toMatchObject([
      {
        manifestUrl: 'http://server:1/models/fake/manifest?x=1',
        filesUrl: 'http://server:1/models/fake/',
        budgetBytes: 1_000,
      },
    ]);
  });

  it('tells progress by phase, and not at every byte', async () => {
    const [worker] = await mesh(1);
    expect(worker!.sent('load-progress').map(({ phase, bytesDone }) => [phase, bytesDone])).toEqual([
      ['download', 0],
      ['download', 100],
      ['verify', 100],
      ['compile', 0],
      ['connect', 0],
    ]);
  });

  it('holds an old and a new pipeline at once, and charges both to the budget', async () => {
    const workers = await mesh(2);
    ring(workers);
    for (const [index, message] of assignments(workers, 2).entries()) workers[index]!.host.command(message);
    await turns(3);
    expect(workers[0]!.sent('ready').map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(workers[0]!.device.requests.map(({ budgetBytes }) => budgetBytes)).toEqual([1_000, 997]);
    for (const { host } of workers) host.command({ type: 'unassign', epoch: 1 });
    expect(workers[0]!.device.engines.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(await generate(workers, 2)).toEqual(soloTokens(PROMPT, 12, GREEDY));
  });

  it('refuses sequences of an epoch it does not serve', async () => {
    const workers = await mesh(2);
    await generate(workers, 9);
    expect(workers[0]!.sent('sequence-failed')).toMatchObject([
      { epoch: 9, error: { code: 'EPOCH_STALE' } },
      { epoch: 9, error: { code: 'EPOCH_STALE' } },
    ]);
  });

  it('stops loading when the assignment is taken back, and frees what came too late', async () => {
    const worker = new TestWorker('peer-0');
    let open = () => {};
    worker.found = (device) => {
      device.gate = new Promise((resolve) => {
        open = resolve;
      });
    };
    await worker.detect();
    worker.host.command(assignments([worker], 1)[0]!);
    await turns(2);
    worker.host.command({ type: 'unassign', epoch: 1 });
    open();
    await turns(2);
    expect(worker.sent('ready')).toEqual([]);
    expect(worker.sent('load-failed')).toEqual([]);
    expect(worker.device.engines.every(({ destroyed }) => destroyed)).toBe(true);
  });

  it('tells why a shard did not load, and takes the next assignment', async () => {
    const worker = new TestWorker('peer-0');
    worker.found = (device) => {
      device.failure = new ShoalError('SHARD_TOO_LARGE', 'too large');
    };
    await worker.detect();
    worker.host.command(assignments([worker], 1)[0]!);
    await turns(2);
    expect(worker.sent('load-failed')).toMatchObject([{ epoch: 1, error: { code: 'SHARD_TOO_LARGE' } }]);
    worker.device.failure = null;
    worker.host.command(assignments([worker], 2)[0]!);
    await turns(2);
    expect(worker.sent('ready')).toMatchObject([{ epoch: 2 }]);
  });

  it.each([
    ['twice the same epoch', [1, 1], 'PROTOCOL_INVALID'],
    ['too many', Array.from({ length: MAX_ASSIGNMENTS + 1 }, (_, i) => i), 'OVERLOADED'],
  ])('refuses %s', async (_name, epochs, code) => {
    const worker = new TestWorker('peer-0');
    await worker.detect();
    for (const epoch of epochs) worker.host.command(assignments([worker], epoch)[0]!);
    expect(worker.sent('load-failed')).toMatchObject([{ epoch: epochs.at(-1), error: { code } }]);
  });

  it('reports a broken link, fails its sequences, and serves again when the link is back', async () => {
    const workers = await mesh(2);
    const transport = link(workers[0]!, workers[1]!);
    workers[0]!.host.command({
      type: 'open',
      epoch: 1,
      sequence: 5,
      wire: 'f16',
      maxPositions: 20,
      eosTokenIds: [],
      sampling: GREEDY,
      promptTokens: 3,
    });
    transport.drop(new ShoalError('LINK_FAILED', 'cable'));
    await turns(1);
    expect(workers[0]!.sent('link-down')).toMatchObject([{ peer: 'peer-1', epoch: 1 }]);
    expect(workers[0]!.sent('sequence-failed')).toMatchObject([
      { sequence: 5, error: { code: 'LINK_FAILED' } },
    ]);
    expect(workers[0]!.events).toContainEqual({ type: 'link-lost', peer: 'peer-1', attempt: 1 });
    link(workers[0]!, workers[1]!, 2);
    expect(await generate(workers)).toEqual(soloTokens(PROMPT, 12, GREEDY));
  });

  it('fails the load when a neighbour cannot be reached', async () => {
    const workers = await mesh(2);
    workers[0]!.host.linkFailed('peer-1', { code: 'LINK_FAILED', message: 'no way through' });
    expect(workers[0]!.sent('load-failed')).toMatchObject([
      { epoch: 1, error: { code: 'LINK_FAILED' }, peer: 'peer-1' },
    ]);
  });

  it('drops everything with a lost device, and offers the next one', async () => {
    const [worker] = await mesh(1);
    worker!.device.lose('driver reset');
    await turns(2);
    const types = worker!.events.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['device-lost', 'device-found']);
    expect(worker!.devices).toHaveLength(2);
    worker!.host.command(assignments([worker!], 2)[0]!);
    await turns(2);
    expect(await generate([worker!], 2)).toEqual(soloTokens(PROMPT, 12, GREEDY));
  });

  it('takes a fresh device after an error that nobody foresaw', async () => {
    const worker = new TestWorker('peer-0');
    worker.found = (device) => {
      device.engineOptions = {
        onStep: () => {
          throw new ShoalError('INTERNAL', 'WebGPU: validation');
        },
      };
    };
    await worker.detect();
    worker.host.command(assignments([worker], 1)[0]!);
    await turns(2);
    worker.found = () => {};
    await generate([worker]);
    expect(worker.sent('load-failed')).toMatchObject([{ error: { code: 'INTERNAL' } }]);
    expect(worker.devices.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(worker.events.map(({ type }) => type)).toContain('device-found');
  });

  it('gives up when the lost device has no successor', async () => {
    const [worker] = await mesh(1);
    worker!.noDevice = new ShoalError('NO_ADAPTER', 'no adapter');
    worker!.device.lose('unplugged');
    await turns(2);
    expect(worker!.events.at(-1)).toMatchObject({ type: 'device-failed', error: { code: 'NO_ADAPTER' } });
  });

  it('reports once a second while it serves, and stops its clock afterwards', async () => {
    const workers = await mesh(2);
    ring(workers);
    await generate(workers);
    const [first] = workers;
    await first!.timers.advance(STATS_INTERVAL_MS);
    expect(first!.sent('stats')).toMatchObject([{ sequences: 0, hop: { computeMs: 2 } }]);
    expect(first!.sent('stats')[0]!.bytesSent).toBeGreaterThan(800);
    expect(first!.events.at(-2)).toMatchObject({ type: 'usage', tokens: 11, gpuBytes: 3 });
    first!.host.stop();
    expect(first!.device.destroyed).toBe(true);
    expect(first!.timers.pending).toBe(0);
  });

  it('forgets the old session but keeps the device', async () => {
    const [worker] = await mesh(1);
    worker!.host.endSession();
    expect(worker!.device.engines[0]!.destroyed).toBe(true);
    worker!.host.command(assignments([worker!], 1)[0]!);
    await turns(2);
    expect(worker!.devices).toHaveLength(1);
    expect(await generate([worker!])).toEqual(soloTokens(PROMPT, 12, GREEDY));
  });
});
