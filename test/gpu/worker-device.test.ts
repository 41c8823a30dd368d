import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { MIB } from '../../src/config/limits.ts';
import { systemTimers } from '../../src/mesh/timers.ts';
import { type ModelDirectory, openModelDirectory } from '../../src/model/directory.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { WorkerHost } from '../../src/worker/host.ts';
import { webGpuDevices } from '../../src/worker/webgpu-device.ts';
import type { WorkerEvent } from '../../src/worker/worker-api.ts';
import { RangeServer } from '../model/fetch/range-server.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { MemoryTensorCache } from '../support/memory-tensor-cache.ts';
import { fixture } from '../support/model-weights.ts';
import { until } from '../support/until.ts';

/** The worker as it runs in a tab, on Dawn: real device, probe, download, kernels, device loss. */

interface Reference {
  readonly greedy: readonly { readonly prompt_ids: number[]; readonly new_ids: number[] }[];
}

const NAME = 'odd-llama';
const running: WorkerHost[] = [];
afterEach(() => {
  for (const host of running.splice(0)) host.stop();
});

async function filesOf(model: ModelDirectory): Promise<RangeServer> {
  const files = await Promise.all(
    [...model.files].map(
      async (name) => [name, new Uint8Array(await readFile(model.filePath(name)))] as const,
    ),
  );
  return new RangeServer(Object.fromEntries(files));
}

async function setUp(budgetBytes: number) {
  const model = await openModelDirectory(fixture(NAME));
  const files = await filesOf(model);
  const manifest = await model.manifest(wholeModel(model.spec));
  const events: WorkerEvent[] = [];
  const raw: GPUDevice[] = [];
  const cache = new MemoryTensorCache();
  // Dawn's object behind the device helper, which fails loudly where there is no adapter.
  (await openDevice()).destroy();
  const dawn = (globalThis as typeof globalThis & { dawn: GPU }).dawn;
  const host = new WorkerHost({
    requestDevice: webGpuDevices({
      gpu: {
        async requestAdapter(options?: GPURequestAdapterOptions) {
          const adapter = (await dawn.requestAdapter(options))!;
          return {
            limits: adapter.limits,
            info: adapter.info,
            async requestDevice(descriptor?: GPUDeviceDescriptor) {
              raw.push(await adapter.requestDevice(descriptor));
              return raw.at(-1)!;
            },
          };
        },
      } as unknown as GPU,
      shaders: testShaders,
      fetch: (url, init) =>
        url.includes('/manifest') ? Promise.resolve(Response.json(manifest)) : files.fetch(url, init),
      cache: async () => cache,
    }),
    emit: (event) => events.push(event),
    timers: systemTimers,
    userAgent: 'dawn',
  });
  running.push(host);
  const detected = await host.detect({ memoryBudgetBytes: budgetBytes, serverUrl: 'http://server:1' });
  const sent = <Type extends string>(type: Type) =>
    events.flatMap((event) => (event.type === 'send' && event.message.type === type ? [event.message] : []));
  const hold = (shard: number) =>
    host.command({
      type: 'hold',
      shard,
      model: NAME,
      manifestPath: '/models/odd-llama/manifest?start=0',
      filesPath: '/models/odd-llama/',
      quantization: 'native',
      layers: wholeModel(model.spec),
    });
  return { host, layers: model.spec.layers, events, raw, files, manifest, detected, sent, hold };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

async function greedyIds({ host, layers, sent }: SetUp, shard: number, prompt: number[], count: number) {
  host.command({
    type: 'open',
    epoch: 1,
    sequence: shard,
    shard,
    index: 0,
    route: [{ peer: 'peer-0', name: 'tab', start: 0, end: layers }],
    wire: 'f32',
    maxPositions: prompt.length + count,
    eosTokenIds: [],
    sampling: GREEDY,
    promptTokens: prompt.length,
    known: prompt.length,
    awaitsResume: false,
  });
  host.command({ type: 'prompt', epoch: 1, sequence: shard, position: 0, ids: prompt, last: true });
  const tokens = () =>
    sent('token').flatMap((message) =>
      message.type === 'token' && message.sequence === shard ? [message] : [],
    );
  await until(() => tokens().at(-1)?.finish === 'length');
  return tokens().map(({ token }) => token);
}

describe('the worker on a real device', () => {
  it('loads over ranges, gives the reference ids, survives the loss of its device, loads from the cache', async () => {
    const set = await setUp(256 * MIB);
    const { detected, hold, sent, events, files, raw } = set;
    if (!detected.ok) throw new Error(detected.error.message);
    expect(detected.capability.gemvMacsPerSecond).toBeGreaterThan(1e5);
    expect(detected.capability).toMatchObject({ class: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(detected.capability.maxBufferBytes).toBeGreaterThan(64 * MIB);
    const reference = JSON.parse(await readFile(`${fixture(NAME)}/reference.json`, 'utf8')) as Reference;
    const { prompt_ids: prompt, new_ids: expected } = reference.greedy[0]!;

    hold(1);
    await until(() => sent('held').length === 1);
    const tensorBytes = Object.values(set.manifest.tensors).reduce(
      (sum, { start, end }) => sum + end - start,
      0,
    );
    expect(sent('held')[0]).toMatchObject({ downloadedBytes: files.bytesRequested });
    expect(files.bytesRequested).toBeLessThanOrEqual(tensorBytes * 1.02);
    expect(await greedyIds(set, 1, prompt, expected.length)).toEqual(expected);

    raw[0]!.destroy();
    await until(() => events.some(({ type }) => type === 'device-found'));
    expect(raw).toHaveLength(2);
    hold(2);
    await until(() => sent('held').length === 2);
    expect(sent('held')[1]).toMatchObject({ downloadedBytes: 0 });
    expect(await greedyIds(set, 2, prompt, expected.length)).toEqual(expected);
  });

  it('refuses bytes that are not what the server hashed, and shapes that are not the model’s', async () => {
    const { hold, sent, manifest } = await setUp(256 * MIB);
    const name = Object.keys(manifest.tensors)[0]!;
    const entry = manifest.tensors[name]!;
    manifest.tensors[name] = { ...entry, sha256: '0'.repeat(64) };
    hold(1);
    await until(() => sent('load-failed').length === 1);
    expect(sent('load-failed')[0]).toMatchObject({ shard: 1, error: { code: 'TENSOR_HASH' } });

    manifest.tensors[name] = { ...entry, shape: entry.shape.map((n) => n + 1) };
    hold(2);
    await until(() => sent('load-failed').length === 2);
    expect(sent('load-failed')[1]).toMatchObject({ shard: 2, error: { code: 'TENSOR_SHAPE' } });
  });

  it('says how much a shard needs that the budget does not hold', async () => {
    const { hold, sent } = await setUp(200_000);
    hold(1);
    await until(() => sent('load-failed').length === 1);
    expect(sent('load-failed')[0]).toMatchObject({ shard: 1, error: { code: 'SHARD_TOO_LARGE' } });
  });
});
