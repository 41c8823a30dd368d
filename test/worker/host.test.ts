import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import {
  ALIVE_IDLE_MS,
  ALIVE_MS,
  MAX_HELD_SHARDS,
  SERVER_AWAY_MS,
  STATS_INTERVAL_MS,
} from '../../src/config/limits.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { FAKE_SPEC, soloTokens } from './fake-engine.ts';
import { deal, routeThrough, turns } from './pipeline.ts';
import { hold, link, ring, TestWorker } from './test-worker.ts';

const PROMPT = Array.from({ length: 100 }, (_, i) => (i * 7) % 1000);
const SHARD = 1;

async function mesh(k: number): Promise<TestWorker[]> {
  const workers = Array.from({ length: k }, (_, index) => new TestWorker(`peer-${index}`));
  for (const worker of workers) await worker.detect();
  for (const [index, { host }] of workers.entries()) host.command(hold(SHARD, k, index));
  await turns(3);
  return workers;
}

/** @param only the workers that are told */
function open(
  workers: readonly TestWorker[],
  sequence: number,
  shard = SHARD,
  maxTokens = 12,
  only = workers.map(({ name }) => name),
): void {
  const route = routeThrough(
    workers.map(({ name }) => name),
    deal(FAKE_SPEC.layers, workers.length),
  );
  for (const [index, { host, name }] of workers.entries()) {
    if (!only.includes(name)) continue;
    host.command({
      type: 'open',
      epoch: 1,
      sequence,
      shard,
      index,
      route,
      wire: 'f16',
      maxPositions: PROMPT.length + maxTokens,
      eosTokenIds: [],
      sampling: GREEDY,
      promptTokens: PROMPT.length,
      known: PROMPT.length,
      awaitsResume: false,
    });
  }
}

function prompt(first: TestWorker, sequence: number): void {
  first.host.command({ type: 'prompt', epoch: 1, sequence, position: 0, ids: PROMPT, last: true });
}

async function generate(workers: readonly TestWorker[], sequence = 1, shard = SHARD): Promise<number[]> {
  open(workers, sequence, shard);
  prompt(workers[0]!, sequence);
  const told = () =>
    workers
      .at(-1)!
      .sent('token')
      .filter((token) => token.sequence === sequence);
  for (let i = 0; i < 400 && !told().some((token) => token.finish !== null); i++) await turns(1);
  for (const { host } of workers) host.command({ type: 'close', sequence });
  return told().map(({ token }) => token);
}

const SOLO = soloTokens(PROMPT, 12, GREEDY);

describe('a worker', () => {
  it('offers nothing it was not asked for', () => {
    const worker = new TestWorker('peer-0');
    expect(worker.devices).toEqual([]);
    expect(worker.events).toEqual([]);
    expect(worker.timers.pending).toBe(0);
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

  it.each([1, 2, 3, 8])('serves on a route of %i with the tokens of the whole model', async (k) => {
    const workers = await mesh(k);
    for (const worker of workers) {
      expect(worker.sent('held')).toMatchObject([{ shard: SHARD, downloadedBytes: 100, gpuBytes: 3 }]);
    }
    ring(workers);
    expect(await generate(workers)).toEqual(SOLO);
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
    ]);
  });

  it('is alive: often while it holds a shard, now and then otherwise, and silent once it stopped', async () => {
    const worker = new TestWorker('peer-0');
    await worker.detect();
    await worker.timers.advance(2 * ALIVE_IDLE_MS);
    expect(worker.sent('alive')).toHaveLength(2);
    worker.host.command(hold(SHARD));
    await worker.timers.advance(3 * ALIVE_MS);
    expect(worker.sent('alive')).toHaveLength(5);
    worker.host.stop();
    expect(worker.timers.pending).toBe(0);
  });

  it('gives up when the lost device has no successor', async () => {
    const [worker] = await mesh(1);
    worker!.noDevice = new ShoalError('NO_ADAPTER', 'no adapter');
    worker!.device.lose('unplugged');
    await turns(2);
    expect(worker!.events.at(-1)).toMatchObject({ type: 'device-failed', error: { code: 'NO_ADAPTER' } });
  });

  it('reports once a second while it holds a shard, and stops its clock afterwards', async () => {
    const workers = await mesh(2);
    ring(workers);
    await generate(workers);
    const [first] = workers;
    await first!.timers.advance(STATS_INTERVAL_MS);
    expect(first!.sent('stats')).toMatchObject([
      { sequences: 0, hop: { computeMs: 2 }, links: [{ peer: 'peer-1' }] },
    ]);
    // 6 ms a chunk of 64 and of 36 rows.
    expect(first!.sent('stats')[0]!.prefillRowsPerSecond).toBeGreaterThan(5_000);
    expect(first!.sent('stats')[0]!.bytesSent).toBeGreaterThan(800);
    expect(first!.events).toContainEqual(expect.objectContaining({ type: 'usage', tokens: 11, gpuBytes: 3 }));
    first!.host.stop();
    expect(first!.device.destroyed).toBe(true);
    expect(first!.timers.pending).toBe(0);
  });
});

describe('shards of a worker', () => {
  it('are held beside each other and charged to the budget together; dropping one leaves the other', async () => {
    const [worker] = await mesh(1);
    worker!.host.command(hold(2));
    await turns(3);
    expect(worker!.sent('held').map(({ shard }) => shard)).toEqual([1, 2]);
    expect(worker!.device.requests.map(({ budgetBytes }) => budgetBytes)).toEqual([1_000, 997]);
    worker!.host.command({ type: 'drop', shard: 1 });
    expect(worker!.device.engines.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(await generate([worker!], 1, 2)).toEqual(SOLO);
  });

  it('are loaded once: a second hold is answered, not obeyed', async () => {
    const [worker] = await mesh(1);
    worker!.host.command(hold(SHARD));
    await turns(3);
    expect(worker!.sent('held')).toHaveLength(2);
    expect(worker!.device.requests).toHaveLength(1);
  });

  it('serve one sequence after another without being loaded again', async () => {
    const workers = await mesh(2);
    ring(workers);
    expect(await generate(workers, 1)).toEqual(SOLO);
    expect(await generate(workers, 2)).toEqual(SOLO);
    expect(workers.map(({ device }) => device.requests.length)).toEqual([1, 1]);
  });

  it('refuse sequences when they are not held, or not any more', async () => {
    const workers = await mesh(2);
    await generate(workers, 1, 9);
    expect(workers[0]!.sent('sequence-failed')).toMatchObject([
      { sequence: 1, epoch: 1, error: { code: 'SEQUENCE_UNKNOWN' } },
    ]);
    open(workers, 2);
    workers[0]!.host.command({ type: 'drop', shard: SHARD });
    expect(workers[0]!.sent('sequence-failed')).toMatchObject([
      { sequence: 1 },
      { sequence: 2, error: { code: 'SEQUENCE_UNKNOWN' } },
    ]);
  });

  it('stop loading when they are dropped, and free what came too late', async () => {
    const worker = new TestWorker('peer-0');
    let release = () => {};
    worker.found = (device) => {
      device.gate = new Promise((resolve) => {
        release = resolve;
      });
    };
    await worker.detect();
    worker.host.command(hold(SHARD));
    await turns(2);
    worker.host.command({ type: 'drop', shard: SHARD });
    release();
    await turns(2);
    expect(worker.sent('held')).toEqual([]);
    expect(worker.sent('load-failed')).toEqual([]);
    expect(worker.device.engines.every(({ destroyed }) => destroyed)).toBe(true);
  });

  it('tell why they did not load; the next may', async () => {
    const worker = new TestWorker('peer-0');
    worker.found = (device) => {
      device.failure = new ShoalError('SHARD_TOO_LARGE', 'too large');
    };
    await worker.detect();
    worker.host.command(hold(1));
    await turns(2);
    expect(worker.sent('load-failed')).toMatchObject([{ shard: 1, error: { code: 'SHARD_TOO_LARGE' } }]);
    worker.device.failure = null;
    worker.host.command(hold(2));
    await turns(2);
    expect(worker.sent('held')).toMatchObject([{ shard: 2 }]);
  });

  it('are bounded in number', async () => {
    const worker = new TestWorker('peer-0');
    await worker.detect();
    for (let shard = 0; shard <= MAX_HELD_SHARDS; shard++) worker.host.command(hold(shard));
    expect(worker.sent('load-failed')).toMatchObject([
      { shard: MAX_HELD_SHARDS, error: { code: 'OVERLOADED' } },
    ]);
  });

  it('go with a lost device, and the next one is offered', async () => {
    const [worker] = await mesh(1);
    worker!.device.lose('driver reset');
    await turns(2);
    const types = worker!.events.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['device-lost', 'device-found']);
    expect(worker!.devices).toHaveLength(2);
    worker!.host.command(hold(2));
    await turns(2);
    expect(await generate([worker!], 1, 2)).toEqual(SOLO);
  });

  it('go with an error that nobody foresaw, and so does the device', async () => {
    const worker = new TestWorker('peer-0');
    worker.found = (device) => {
      device.engineOptions = {
        onStep: () => {
          throw new ShoalError('INTERNAL', 'WebGPU: validation');
        },
      };
    };
    await worker.detect();
    worker.host.command(hold(SHARD));
    await turns(2);
    worker.found = () => {};
    await generate([worker]);
    expect(worker.sent('load-failed')).toMatchObject([{ error: { code: 'INTERNAL' } }]);
    expect(worker.devices.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(worker.events.map(({ type }) => type)).toContain('device-found');
  });
});

describe('the server of a worker', () => {
  it('hears in one report what is held, linked and running, in order with all else', async () => {
    const workers = await mesh(2);
    ring(workers);
    open(workers, 5);
    const [first] = workers;
    first!.host.report(7);
    expect(first!.events.at(-1)).toMatchObject({
      type: 'report',
      id: 7,
      held: [{ shard: SHARD, model: 'fake', layers: { start: 0, end: 4 }, gpuBytes: 3 }],
      links: ['peer-1'],
      running: [{ sequence: 5, epoch: 1, index: 0, route: [{ peer: 'peer-0' }, { peer: 'peer-1' }] }],
    });
  });

  it('may be away for a while; then its sequences are closed', async () => {
    const [worker] = await mesh(1);
    open([worker!], 5);
    worker!.host.server(false);
    await worker!.timers.advance(SERVER_AWAY_MS - 1);
    worker!.host.server(true);
    await worker!.timers.advance(SERVER_AWAY_MS);
    expect(worker!.device.engines[0]!.openSequences).toBe(1);
    worker!.host.server(false);
    await worker!.timers.advance(SERVER_AWAY_MS - 1);
    // Tried in vain meanwhile.
    worker!.host.server(false);
    await worker!.timers.advance(1);
    expect(worker!.device.engines[0]!.openSequences).toBe(0);
    expect(worker!.device.engines[0]!.destroyed).toBe(false);
    expect(worker!.sent('sequence-failed')).toEqual([]);
  });

  it('may be another one: all of the old goes, the device stays', async () => {
    const [worker] = await mesh(1);
    worker!.host.endSession();
    expect(worker!.device.engines[0]!.destroyed).toBe(true);
    worker!.host.command(hold(SHARD));
    await turns(2);
    expect(worker!.devices).toHaveLength(1);
    expect(await generate([worker!])).toEqual(SOLO);
  });
});

describe('the links of a worker', () => {
  it('are told as they open, fall silent, are heard again and break', async () => {
    const [a, b] = await mesh(2);
    const transport = link(a!, b!);
    open([a!, b!], 5);
    const states = () => a!.sent('link').map(({ peer, state }) => `${peer} ${state}`);
    expect(states()).toEqual(['peer-1 up']);
    // The other side has its own clock, which stands still: it answers pings, though, until it is stalled.
    await a!.timers.advance(3_000);
    expect(states()).toEqual(['peer-1 up']);
    transport.stall();
    await a!.timers.advance(600);
    expect(states()).toEqual(['peer-1 up', 'peer-1 silent']);
    transport.resume();
    await a!.timers.advance(200);
    expect(states()).toEqual(['peer-1 up', 'peer-1 silent', 'peer-1 up']);
    transport.drop(new ShoalError('LINK_FAILED', 'cable'));
    expect(a!.sent('link').at(-1)).toMatchObject({
      peer: 'peer-1',
      state: 'down',
      error: { code: 'LINK_FAILED' },
    });
    expect(a!.events).toContainEqual({ type: 'link-lost', peer: 'peer-1', attempt: 1 });
  });

  it('take no sequence with them', async () => {
    const workers = await mesh(2);
    const transport = link(workers[0]!, workers[1]!);
    open(workers, 5);
    transport.drop();
    await turns(1);
    expect(workers.flatMap((worker) => worker.sent('sequence-failed'))).toEqual([]);
    link(workers[0]!, workers[1]!, 2);
    prompt(workers[0]!, 5);
    for (let i = 0; i < 200 && workers[1]!.sent('token').length < 12; i++) await turns(1);
    expect(workers[1]!.sent('token').map(({ token }) => token)).toEqual(SOLO);
  });

  it('bring frames of sequences that are not open; the server hears once of each that never was', async () => {
    const workers = await mesh(2);
    const [first, second] = workers;
    ring(workers);
    open(workers, 5);
    open(workers, 6, SHARD, 12, ['peer-0']);
    second!.host.command({ type: 'close', sequence: 5 });
    for (const sequence of [5, 6]) prompt(first!, sequence);
    await turns(30);
    expect(second!.sent('sequence-failed')).toMatchObject([
      { sequence: 6, epoch: 1, peer: 'peer-0', error: { code: 'SEQUENCE_UNKNOWN' } },
    ]);
  });
});
