import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DOWNLOAD_STALL_MS, MAX_DOWNLOAD_ATTEMPTS, MAX_RANGE_BYTES } from '../../../src/config/limits.ts';
import type { LoadedTensor, WeightManifest } from '../../../src/model/fetch/manifest.ts';
import {
  type LoadProgress,
  type LoadShardOptions,
  loadShard,
} from '../../../src/model/fetch/weight-source.ts';
import { specFromHfConfig } from '../../../src/model/hf-config.ts';
import { parseSafetensorsHeader } from '../../../src/model/safetensors.ts';
import type { Shard } from '../../../src/model/shard.ts';
import { shardTensors, wholeModel } from '../../../src/model/tensors.ts';
import { MemoryTensorCache } from '../../support/memory-tensor-cache.ts';
import { tensorFile } from '../safetensors-file.ts';
import { RangeServer, recordedSleep } from './range-server.ts';

const spec = specFromHfConfig({
  model_type: 'llama',
  hidden_size: 30,
  intermediate_size: 53,
  num_hidden_layers: 4,
  num_attention_heads: 5,
  num_key_value_heads: 1,
  vocab_size: 307,
});

const FILE = 'model.safetensors';
// In the order that PyTorch's exporter writes them: by name, so that layers and norms are mixed.
const file = tensorFile(shardTensors(spec, wholeModel(spec)).sort((a, b) => (a.name < b.name ? -1 : 1)));
const placed = new Map(parseSafetensorsHeader(file, file.length).map((tensor) => [tensor.name, tensor]));

function manifestOf(shard: Shard = wholeModel(spec)): WeightManifest {
  const tensors: WeightManifest['tensors'] = {};
  for (const { name } of shardTensors(spec, shard)) {
    const { start, end, shape } = placed.get(name)!;
    const sha256 = createHash('sha256').update(file.subarray(start, end)).digest('hex');
    tensors[name] = { file: FILE, start, end, dtype: 'F16', shape: [...shape], sha256 };
  }
  return { version: 1, model: 'odd', spec, tensors };
}

function loading(server: RangeServer, more: Partial<LoadShardOptions> = {}) {
  const clock = recordedSleep(DOWNLOAD_STALL_MS);
  const load = loadShard({
    manifest: manifestOf(),
    filesUrl: 'http://server/models/odd',
    fetch: server.fetch,
    signal: new AbortController().signal,
    sleep: clock.sleep,
    ...more,
  });
  return { load, pauses: clock.pauses };
}

async function collect(load: AsyncIterable<LoadedTensor>): Promise<Map<string, LoadedTensor>> {
  const tensors = new Map<string, LoadedTensor>();
  for await (const tensor of load) tensors.set(tensor.name, tensor);
  return tensors;
}

function expectRight(tensors: Map<string, LoadedTensor>, manifest: WeightManifest): void {
  expect([...tensors.keys()].sort()).toEqual(Object.keys(manifest.tensors).sort());
  for (const [name, { bytes, shape, dtype }] of tensors) {
    const { start, end } = placed.get(name)!;
    expect(Buffer.compare(bytes, file.subarray(start, end)), name).toBe(0);
    expect([dtype, shape]).toEqual(['F16', manifest.tensors[name]?.shape]);
  }
}

const failed = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a shard', () => {
  it.each<[string, Shard]>([
    ['the whole model', wholeModel(spec)],
    ['the first layers', { start: 0, end: 2, embedding: true, head: false }],
    ['a middle layer', { start: 2, end: 3, embedding: false, head: false }],
    ['the last layers', { start: 2, end: 4, embedding: false, head: true }],
  ])('arrives byte for byte, with at most 2 %% more asked for than it holds: %s', async (_, shard) => {
    const server = new RangeServer({ [FILE]: file });
    const manifest = manifestOf(shard);
    const { load } = loading(server, { manifest });
    expectRight(await collect(load), manifest);
    const shardBytes = Object.values(manifest.tensors).reduce((sum, { start, end }) => sum + end - start, 0);
    expect(load.bytesTotal).toBe(shardBytes);
    expect(server.bytesRequested).toBeGreaterThanOrEqual(shardBytes);
    expect(server.bytesRequested).toBeLessThanOrEqual(shardBytes * 1.02);
    expect(load.bytesFromNetwork).toBe(server.requests.reduce((sum, { sent }) => sum + sent, 0));
    expect(server.requests.length).toBeLessThan(Object.keys(manifest.tensors).length / 2);
  });

  it('reports bytes by phase, rising to the total', async () => {
    const progress: LoadProgress[] = [];
    const { load } = loading(new RangeServer({ [FILE]: file }), { onProgress: (p) => progress.push(p) });
    await collect(load);
    for (const phase of ['download', 'verify'] as const) {
      const done = progress.filter((p) => p.phase === phase).map(({ bytesDone }) => bytesDone);
      expect(done).toEqual([...done].sort((a, b) => a - b));
      expect(done.at(-1)).toBe(load.bytesTotal);
    }
    expect(progress.every(({ bytesTotal }) => bytesTotal === load.bytesTotal)).toBe(true);
  });

  it('asks in pieces for a tensor larger than one range may be', async () => {
    const rows = 1000;
    const columns = Math.ceil((MAX_RANGE_BYTES * 2.2) / 2 / rows);
    const large = new Uint8Array(rows * columns * 2);
    // Different at the seams, where a piece could land in the wrong place.
    for (let at = 0; at < large.length; at += 65_521) large[at] = (at / 65_521) & 0xff;
    const sha256 = createHash('sha256').update(large).digest('hex');
    const manifest: WeightManifest = {
      ...manifestOf(),
      tensors: {
        large: {
          file: 'big.safetensors',
          start: 0,
          end: large.length,
          dtype: 'F16',
          shape: [rows, columns],
          sha256,
        },
      },
    };
    const fetched: [number, number][] = [];
    const fetch: LoadShardOptions['fetch'] = async (_url, init) => {
      const [first, last] = /(\d+)-(\d+)/
        .exec(new Headers(init.headers).get('range') ?? '')!
        .slice(1)
        .map(Number);
      fetched.push([first!, last! + 1]);
      return new Response(large.subarray(first, last! + 1), { status: 206 });
    };
    const { load } = loading(new RangeServer({}), { manifest, fetch });
    const tensor = (await collect(load)).get('large');
    expect(createHash('sha256').update(tensor!.bytes).digest('hex')).toBe(sha256);
    expect(fetched).toEqual([
      [0, MAX_RANGE_BYTES],
      [MAX_RANGE_BYTES, 2 * MAX_RANGE_BYTES],
      [2 * MAX_RANGE_BYTES, large.length],
    ]);
  });
});

describe('a file whose layers lie interleaved', () => {
  it('costs requests rather than bytes', async () => {
    const role = (name: string) => name.replace(/\d+/, '');
    const tensors = shardTensors(spec, wholeModel(spec)).sort((a, b) =>
      role(a.name) < role(b.name) ? -1 : 1,
    );
    const mixed = tensorFile(tensors);
    const where = new Map(parseSafetensorsHeader(mixed, mixed.length).map((tensor) => [tensor.name, tensor]));
    const manifest = manifestOf({ start: 1, end: 3, embedding: false, head: false });
    for (const [name, entry] of Object.entries(manifest.tensors)) {
      const { start, end } = where.get(name)!;
      const sha256 = createHash('sha256').update(mixed.subarray(start, end)).digest('hex');
      manifest.tensors[name] = { ...entry, start, end, sha256 };
    }
    const server = new RangeServer({ [FILE]: mixed });
    const { load } = loading(server, { manifest });
    expect((await collect(load)).size).toBe(Object.keys(manifest.tensors).length);
    expect(server.bytesRequested).toBeLessThanOrEqual(load.bytesTotal * 1.02);
  });
});

describe('a connection that breaks', () => {
  it.each(['break', 'short'] as const)('is resumed at the byte reached (%s)', async (type) => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push({ type, afterBytes: 2500 }, { type, afterBytes: 1700 });
    const { load, pauses } = loading(server);
    expectRight(await collect(load), manifestOf());
    const [first, second, third] = server.requests;
    expect(second!.start).toBe(first!.start + 2500);
    expect(third!.start).toBe(second!.start + 1700);
    expect(pauses).toEqual([250, 500]);
    // Nothing was sent twice.
    expect(load.bytesFromNetwork).toBe(load.bytesTotal);
  });

  it.each<[string, RangeServer['faults'][number]]>([
    ['no network', { type: 'refuse' }],
    ['HTTP 503', { type: 'status', status: 503 }],
    ['HTTP 429', { type: 'status', status: 429 }],
  ])('is tried again: %s', async (_, fault) => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push(fault);
    const { load } = loading(server);
    expectRight(await collect(load), manifestOf());
  });

  it('fails after so many tries, with doubling pauses', async () => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push(...Array.from({ length: 9 }, () => ({ type: 'status', status: 503 }) as const));
    const { load, pauses } = loading(server);
    await expect(collect(load)).rejects.toThrow(failed('DOWNLOAD_FAILED', /4 of at most 4 tries.*HTTP 503/));
    expect(server.requests).toHaveLength(MAX_DOWNLOAD_ATTEMPTS);
    expect(pauses).toEqual([250, 500, 1000]);
  });

  it.each<[string, RangeServer['faults'][number], RegExp]>([
    ['HTTP 404', { type: 'status', status: 404 }, /HTTP 404/],
    ['HTTP 403', { type: 'status', status: 403 }, /HTTP 403/],
    ['bytes of another place', { type: 'wrong-range' }, /content-range "bytes \d+-\d+\/\d+"/],
  ])('fails at once where trying again cannot help: %s', async (_, fault, message) => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push(fault);
    await expect(collect(loading(server).load)).rejects.toThrow(failed('DOWNLOAD_FAILED', message));
    expect(server.requests).toHaveLength(1);
  });

  it('is given up on when it stays silent', async () => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push({ type: 'hang' });
    let deadlines = 0;
    const sleep: LoadShardOptions['sleep'] = (ms, signal) =>
      new Promise((done) => {
        // The deadline of the silent body passes; all others are called off before they come.
        if (ms !== DOWNLOAD_STALL_MS || deadlines++ === 1) done();
        else signal.addEventListener('abort', () => done(), { once: true });
      });
    const { load } = loading(server, { sleep });
    expectRight(await collect(load), manifestOf());
    expect(server.requests.length).toBeGreaterThan(1);
    expect(server.requests[1]!.start).toBe(server.requests[0]!.start);
  });

  it('does not name the query of a URL, which may carry a token', async () => {
    const { load } = loading(new RangeServer({}), { filesUrl: 'http://server/models/odd/?token=secret' });
    await expect(collect(load)).rejects.toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    );
  });
});

describe('a server that ignores Range', () => {
  it('is taken while the file is small', async () => {
    const server = new RangeServer({ [FILE]: file });
    server.ignoresRange = true;
    const manifest = manifestOf({ start: 1, end: 2, embedding: false, head: false });
    expectRight(await collect(loading(server, { manifest }).load), manifest);
  });

  it.each([
    ['of unknown length', undefined, /unknown number of bytes/],
    ['larger than the bound', MAX_RANGE_BYTES + 1, /would send 33554433 bytes/],
  ])('is refused for a file %s, before its body is read', async (_, length, message) => {
    let isCancelled = false;
    const fetch: LoadShardOptions['fetch'] = async (_url, init) => {
      init.signal?.addEventListener('abort', () => {
        isCancelled = true;
      });
      const headers: Record<string, string> =
        length === undefined ? {} : { 'content-length': String(length) };
      return new Response(new ReadableStream(), { status: 200, headers });
    };
    const { load } = loading(new RangeServer({}), { fetch });
    await expect(collect(load)).rejects.toThrow(failed('DOWNLOAD_FAILED', message));
    expect(isCancelled).toBe(true);
  });

  it('is cut off when it sends more than was asked for', async () => {
    const tooMuch = new Uint8Array(5_000_000);
    let pulled = 0;
    const fetch: LoadShardOptions['fetch'] = async (_url, init) => {
      const [first, last] = /(\d+)-(\d+)/
        .exec(new Headers(init.headers).get('range') ?? '')!
        .slice(1)
        .map(Number);
      let sent = 0;
      const right = file.slice(first, last! + 1);
      return new Response(
        new ReadableStream(
          {
            pull(controller) {
              controller.enqueue(sent === 0 ? right : tooMuch.slice(0, 1000));
              sent++;
              pulled += sent === 1 ? right.length : 1000;
            },
          },
          { highWaterMark: 0 },
        ),
        { status: 206 },
      );
    };
    const { load } = loading(new RangeServer({}), { fetch });
    expectRight(await collect(load), manifestOf());
    expect(pulled).toBeLessThanOrEqual(load.bytesTotal);
  });
});

describe('bytes that do not hash as the manifest says', () => {
  it('are fetched once more, past the cache, and pass if that is right', async () => {
    const server = new RangeServer({ [FILE]: file });
    server.faults.push({ type: 'flip-byte', at: 100 });
    const { load } = loading(server);
    expectRight(await collect(load), manifestOf());
    const again = server.requests.filter(({ cache }) => cache === 'reload');
    expect(again).toHaveLength(1);
    const first = Object.values(manifestOf().tensors).find(({ start }) => start === again[0]!.start);
    expect(again[0]!.end).toBe(first!.end);
  });

  it('are refused by name with both hashes', async () => {
    const server = new RangeServer({ [FILE]: file });
    const manifest = manifestOf();
    const name = 'model.layers.1.mlp.up_proj.weight';
    const right = manifest.tensors[name]!.sha256;
    const wrong = 'f'.repeat(64);
    manifest.tensors[name] = { ...manifest.tensors[name]!, sha256: wrong };
    const cache = new MemoryTensorCache();
    const tensors = new Map<string, LoadedTensor>();
    const consume = async () => {
      for await (const tensor of loading(server, { manifest, cache }).load) tensors.set(tensor.name, tensor);
    };
    await expect(consume()).rejects.toThrow(
      failed('TENSOR_HASH', new RegExp(`"${name}".*should hash to ${wrong}, got ${right}`)),
    );
    expect(tensors.has(name)).toBe(false);
    expect(await cache.get(wrong)).toBeUndefined();
  });
});

describe('the cache', () => {
  it('saves the network on the second load', async () => {
    const server = new RangeServer({ [FILE]: file });
    const cache = new MemoryTensorCache();
    await collect(loading(server, { cache }).load);
    const requests = server.requests.length;
    const progress: LoadProgress[] = [];
    const { load } = loading(server, { cache, onProgress: (p) => progress.push(p) });
    expectRight(await collect(load), manifestOf());
    expect(server.requests).toHaveLength(requests);
    expect([load.bytesFromNetwork, load.bytesFromCache]).toEqual([0, load.bytesTotal]);
    expect(progress.at(-1)).toEqual({
      phase: 'verify',
      bytesDone: load.bytesTotal,
      bytesTotal: load.bytesTotal,
    });
  });

  it('is left off where an entry is wrong, and mended', async () => {
    const server = new RangeServer({ [FILE]: file });
    const cache = new MemoryTensorCache();
    await collect(loading(server, { cache }).load);
    const entry = manifestOf().tensors['model.norm.weight']!;
    await cache.put(entry.sha256, new Uint8Array(entry.end - entry.start));
    const before = server.bytesRequested;
    const { load } = loading(server, { cache });
    expectRight(await collect(load), manifestOf());
    expect(server.bytesRequested - before).toBe(entry.end - entry.start);
    expect(await cache.get(entry.sha256)).toEqual(file.slice(entry.start, entry.end));
  });

  it('lets a load go on where an earlier one was stopped', async () => {
    const server = new RangeServer({ [FILE]: file });
    const cache = new MemoryTensorCache();
    let count = 0;
    for await (const _ of loading(server, { cache }).load) if (++count === 10) break;
    const { load } = loading(server, { cache });
    expectRight(await collect(load), manifestOf());
    expect(load.bytesFromCache).toBeGreaterThan(0);
    expect(load.bytesFromNetwork).toBeLessThanOrEqual((load.bytesTotal - load.bytesFromCache) * 1.02);
  });
});

it('calls fetch as browsers want it called: not as a method of something', async () => {
  const server = new RangeServer({ [FILE]: file });
  const fetch: LoadShardOptions['fetch'] = function (this: unknown, url, init) {
    if (this !== undefined && this !== globalThis) throw new TypeError('Illegal invocation');
    return server.fetch(url, init);
  };
  expectRight(await collect(loading(server, { fetch }).load), manifestOf());
});

describe('stopping', () => {
  it('ends the load and its connection', async () => {
    const server = new RangeServer({ [FILE]: file });
    const stop = new AbortController();
    const { load } = loading(server, { signal: stop.signal });
    let count = 0;
    const consume = async () => {
      for await (const _ of load) if (++count === 3) stop.abort();
    };
    await expect(consume()).rejects.toThrow(failed('ABORTED', /was stopped/));
    expect(load.bytesFromNetwork).toBeLessThan(load.bytesTotal);
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  it('asks for nothing when it came before', async () => {
    const server = new RangeServer({ [FILE]: file });
    await expect(collect(loading(server, { signal: AbortSignal.abort() }).load)).rejects.toThrow(
      failed('ABORTED', /stopped/),
    );
    expect(server.requests).toHaveLength(0);
  });
});

describe('a manifest that contradicts itself', () => {
  it.each<[string, object, string]>([
    ['a range of other size than the shape', { end: 10_000_000_000 }, 'TENSOR_SHAPE'],
    ['an end before the start', { end: 1 }, 'TENSOR_SHAPE'],
    ['a file in another folder', { file: '../../secret' }, 'DOWNLOAD_FAILED'],
    ['a file on another server', { file: '//evil/x' }, 'DOWNLOAD_FAILED'],
  ])('is refused before anything is fetched: %s', (_, wrong, code) => {
    const server = new RangeServer({ [FILE]: file });
    const manifest = manifestOf();
    manifest.tensors['model.norm.weight'] = { ...manifest.tensors['model.norm.weight']!, ...wrong };
    expect(() => loading(server, { manifest })).toThrow(failed(code, /"model\.norm\.weight"/));
    expect(server.requests).toHaveLength(0);
  });
});
