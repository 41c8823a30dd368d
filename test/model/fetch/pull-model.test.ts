import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/config/secret.ts';
import { openModelDirectory } from '../../../src/model/directory.ts';
import { HubClient } from '../../../src/model/fetch/hub-client.ts';
import { type PullOptions, pullModel } from '../../../src/model/fetch/pull-model.ts';
import { specFromHfConfig } from '../../../src/model/hf-config.ts';
import { shardTensors, wholeModel } from '../../../src/model/tensors.ts';
import { tensorFile } from '../safetensors-file.ts';
import { tinyConfig as config } from '../tiny-config.ts';
import { FakeHub } from './fake-hub.ts';

const spec = specFromHfConfig(config);
const tensors = shardTensors(spec, wholeModel(spec));
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

let hub: FakeHub;
let folder: string;
let directory: string;

beforeEach(async () => {
  hub = await FakeHub.start();
  hub.files.set('config.json', bytesOf(config));
  hub.files.set('tokenizer.json', bytesOf({ model: { type: 'BPE' } }));
  hub.files.set('model.safetensors', tensorFile(tensors));
  hub.files.set('README.md', bytesOf('not wanted'));
  folder = mkdtempSync(join(tmpdir(), 'shoal-pull-'));
  directory = join(folder, 'model');
});
afterEach(async () => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

function pull({
  token,
  repo = 'org/model',
  revision = 'main',
  ...options
}: Partial<PullOptions> & { token?: string; repo?: string; revision?: string } = {}) {
  return pullModel({
    hub: new HubClient({ endpoint: hub.endpoint, ...(token !== undefined && { token: new Secret(token) }) }),
    source: { kind: 'huggingface', repo, revision },
    directory,
    signal: new AbortController().signal,
    sleep: (_ms, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    ...options,
  });
}

/** Pauses end at once, deadlines never come. */
const impatient = {
  sleep: async (ms: number, signal: AbortSignal) =>
    ms < 10_000
      ? undefined
      : new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
};

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const storageRequests = () => hub.requests.filter(({ host }) => host === 'storage');

describe('pullModel', () => {
  it('fetches what Shoal reads, all of one commit, and nothing else', async () => {
    const pulled = await pull();
    expect(pulled).toEqual({ repo: 'org/model', revision: 'main', commit: hub.commit, isNew: true });
    expect(readdirSync(directory).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'shoal-pull.json',
      'tokenizer.json',
    ]);
    expect(readdirSync(folder)).toEqual(['model']);
    const revisions = hub.requests.filter(({ host }) => host === 'hub').map(({ line }) => line.split('/')[4]);
    expect(revisions[0]).toBe('main');
    expect(new Set(revisions.slice(1))).toEqual(new Set([hub.commit]));
    await expect(openModelDirectory(directory)).resolves.toMatchObject({ model: 'model' });
  });

  it('fetches nothing when that commit is there, and a new one whole', async () => {
    await pull();
    hub.requests.length = 0;
    expect((await pull()).isNew).toBe(false);
    expect(hub.requests).toHaveLength(1);
    hub.commit = '2'.repeat(40);
    hub.files.set('chat_template.jinja', bytesOf('x'));
    expect(await pull()).toMatchObject({ isNew: true, commit: hub.commit });
    expect(readdirSync(folder)).toEqual(['model']);
    expect(existsSync(join(directory, 'chat_template.jinja'))).toBe(true);
  });

  it('fetches a model in several files', async () => {
    const half = Math.ceil(tensors.length / 2);
    const parts = { 'a-1.safetensors': tensors.slice(0, half), 'a-2.safetensors': tensors.slice(half) };
    const weight_map: Record<string, string> = {};
    for (const [name, list] of Object.entries(parts)) {
      hub.files.set(name, tensorFile(list));
      for (const tensor of list) weight_map[tensor.name] = name;
    }
    hub.files.delete('model.safetensors');
    hub.files.set('model.safetensors.index.json', bytesOf({ weight_map }));
    await pull();
    expect((await openModelDirectory(directory)).files).toEqual(new Set(Object.keys(parts)));
    hub.files.delete('a-2.safetensors');
    hub.commit = '2'.repeat(40);
    await expect(pull()).rejects.toThrow(
      failure('DOWNLOAD_FAILED', /no a-2\.safetensors, |no a-2\.safetensors; though/),
    );
    expect(existsSync(join(directory, 'a-2.safetensors'))).toBe(true);
  });

  it('goes on at the byte reached when a connection breaks', async () => {
    hub.breakAfterBytes = Math.ceil(hub.files.get('model.safetensors')!.length / 3);
    await pull(impatient);
    const starts = storageRequests().map(({ headers }) => Number(/=(\d+)/.exec(headers.range!)?.[1]));
    expect(starts.length).toBeGreaterThan(1);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts.at(-1)).toBeGreaterThan(0);
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(
      Buffer.from(hub.files.get('model.safetensors')!),
    );
  });

  it('goes on where an earlier pull broke off', async () => {
    const whole = hub.files.get('model.safetensors')!;
    hub.breakAfterBytes = 100;
    await expect(pull(impatient)).rejects.toThrow(failure('DOWNLOAD_FAILED', /model\.safetensors/));
    expect(existsSync(directory)).toBe(false);
    const there = readFileSync(join(`${directory}.part`, 'model.safetensors.part'));
    expect(there.length).toBeGreaterThanOrEqual(100);
    hub.breakAfterBytes = Number.POSITIVE_INFINITY;
    hub.requests.length = 0;
    await pull();
    expect(storageRequests().map(({ headers }) => headers.range)).toEqual([
      `bytes=${there.length}-${whole.length - 1}`,
    ]);
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(Buffer.from(whole));
  });

  it('starts afresh where what is there is of another commit, or longer than the file', async () => {
    mkdirSync(`${directory}.part`);
    writeFileSync(join(`${directory}.part`, 'model.safetensors.part'), 'of another commit');
    await pull();
    hub.commit = '2'.repeat(40);
    mkdirSync(`${directory}.part`);
    writeFileSync(
      join(`${directory}.part`, 'shoal-pull.json'),
      JSON.stringify({ repo: 'org/model', revision: 'main', commit: hub.commit }),
    );
    writeFileSync(join(`${directory}.part`, 'model.safetensors.part'), 'x'.repeat(100_000));
    await pull();
    expect(readFileSync(join(directory, 'model.safetensors'))).toEqual(
      Buffer.from(hub.files.get('model.safetensors')!),
    );
  });

  it('refuses bytes that are not what the hub says, and forgets them', async () => {
    hub.corrupt = true;
    await expect(pull()).rejects.toThrow(failure('TENSOR_HASH', /sha256 .* and should have .*pull again/));
    expect(existsSync(directory)).toBe(false);
    hub.corrupt = false;
    expect((await pull()).isNew).toBe(true);
  });

  it('refuses a model that the engine does not compute before its weights are fetched', async () => {
    hub.files.set('config.json', bytesOf({ ...config, architectures: ['GPT2LMHeadModel'] }));
    await expect(pull()).rejects.toThrow(failure('MODEL_UNSUPPORTED', /GPT2LMHeadModel/));
    expect(storageRequests()).toEqual([]);
  });

  it('leaves a model alone that another process pulls, and takes over from one that is gone', async () => {
    const held = (pid: number) => writeFileSync(`${directory}.lock`, String(pid));
    // The test runner's parent: it runs, and it is another process.
    held(process.ppid);
    await expect(pull()).rejects.toThrow(
      failure('DOWNLOAD_FAILED', new RegExp(`process ${process.ppid} is pulling this model already`)),
    );
    expect(existsSync(`${directory}.part`)).toBe(false);
    held(2 ** 22 + 1);
    expect((await pull()).isNew).toBe(true);
    expect(readdirSync(folder)).toEqual(['model']);
  });

  it('stops when it is told to, and keeps what it has', async () => {
    const stop = new AbortController();
    const stopped = pull({
      signal: stop.signal,
      onFile: async (name, _bytes, work) => {
        if (name === 'model.safetensors') stop.abort();
        await work(() => {});
      },
    });
    await expect(stopped).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
    expect(existsSync(join(`${directory}.part`, 'tokenizer.json'))).toBe(true);
  });

  it.each<[string, Parameters<typeof pull>[0], () => void, RegExp]>([
    [
      'a gated model without a token',
      {},
      () => {
        hub.token = 't';
      },
      /gated: accept its conditions at http.*org\/model, and set HF_TOKEN/,
    ],
    [
      'a gated model with a token that may not',
      { token: 'hf_wrong' },
      () => {
        hub.token = 't';
      },
      /gated: .*check what HF_TOKEN may read/,
    ],
    [
      'an unknown repository',
      { repo: 'org/nope' },
      () => {},
      /org\/nope is private, or does not exist \(HTTP 401\)/,
    ],
    ['an unknown revision', { revision: 'v9' }, () => {}, /has no revision "v9"/],
    ['a repository without config.json', {}, () => hub.files.delete('config.json'), /has no config\.json/],
    [
      'a repository without tokenizer.json',
      {},
      () => hub.files.delete('tokenizer.json'),
      /has no tokenizer\.json/,
    ],
    [
      'a repository without safetensors',
      {},
      () => hub.files.delete('model.safetensors'),
      /other formats of weights are not read/,
    ],
  ])('says what to do about %s', async (_, options, prepare, message) => {
    prepare();
    await expect(pull(options)).rejects.toThrow(failure('DOWNLOAD_FAILED', message));
    expect(existsSync(directory)).toBe(false);
  });

  it('says so when the hub cannot be reached', async () => {
    const client = new HubClient({ endpoint: 'http://127.0.0.1:1' });
    await expect(pull({ hub: client })).rejects.toThrow(
      failure('DOWNLOAD_FAILED', /127\.0\.0\.1:1 cannot be reached .*HF_ENDPOINT/),
    );
  });
});

describe('the token', () => {
  it('goes to the hub, through a renamed repository, and to no other host', async () => {
    hub.token = 'hf_secret';
    await pull({ token: 'hf_secret', repo: 'org/old-name' });
    const byHost = (host: string) => hub.requests.filter((request) => request.host === host);
    expect(byHost('hub').every(({ headers }) => headers.authorization === 'Bearer hf_secret')).toBe(true);
    expect(byHost('storage').length).toBeGreaterThan(0);
    expect(byHost('storage').every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('stands in no error', async () => {
    hub.token = 'another';
    await expect(pull({ token: 'hf_secret' })).rejects.toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hf_secret') }),
    );
  });
});
