import { expect, it } from 'vitest';
import { status, statusInTime, statusText } from '../../src/cli/status.ts';
import type { Status } from '../../src/mesh/protocol/status.ts';

const worker: Status['workers'][number] = {
  peer: 'peer-1',
  name: 'tab-1',
  state: 'serving',
  layers: [0, 5],
  adapter: { vendor: 'google', architecture: 'swiftshader', description: '', isFallback: true },
  gemvMacsPerSecond: 1e9,
  tokensPerSecond: 12.34,
  downloadedBytes: 7_900_000,
  hop: {
    uploadMs: 1,
    computeMs: 2,
    readbackMs: 3,
    packMs: 9,
    unpackMs: 9,
    wireRttMs: 1.25,
    bytesPerToken: 100,
  },
  problem: null,
};
const spare: Status['workers'][number] = {
  ...worker,
  name: 'phone',
  state: 'joined',
  layers: null,
  adapter: null,
  hop: null,
  tokensPerSecond: 0,
  downloadedBytes: 0,
  problem: 'too little memory\x1b[2J for a layer',
};
const found: Status = {
  provider: 'fxn',
  ready: true,
  detail: 'minnow is served',
  model: { id: 'minnow', layers: 8, contextLength: 512 },
  pipeline: {
    epoch: 3,
    stages: [
      { peer: 'peer-1', name: 'tab-1', shard: { start: 0, end: 5, embedding: true, head: false } },
      { peer: 'peer-2', name: 'tab-2', shard: { start: 5, end: 8, embedding: false, head: true } },
    ],
  },
  workers: [worker, spare],
  nodes: [
    {
      id: 'a',
      name: 'gpu.example:8000',
      provider: 'vllm',
      state: 'failing',
      inFlight: 2,
      maxConcurrent: 16,
      models: ['a', 'b', 'c', 'd'],
      timeToFirstTokenMs: 81.6,
      tokensPerSecond: null,
      lastError: 'HTTP 500',
    },
  ],
  requestsInFlight: 2,
};

it('shows the live route, the workers and the nodes', () => {
  expect(statusText('http://h', found).split('\n')).toEqual([
    '✓ http://h (fxn): minnow is served',
    '',
    '  model     minnow: 8 layers, context 512',
    '  route     tab-1 0–4 → tab-2 5–7',
    '  requests  2 in flight',
    '',
    '  layers  held  by',
    '  0–4     1×    tab-1',
    '  5–7     0×    nobody',
    '',
    '  worker  state    layers  tokens/s  loaded  step     link    adapter',
    '  tab-1   serving  0–4     12.3      7.9 MB  24.0 ms  1.3 ms  google swiftshader (software)',
    '  phone   joined   –       0.0       0.0 MB  –        –       –',
    '',
    '  node              provider  state    in flight  first token  tokens/s  models',
    '  gpu.example:8000  vllm      failing  2 of 16    82 ms        –         a, b, c and 1 more',
    '',
    '! phone: too little memory [2J for a layer',
    '! gpu.example:8000: HTTP 500',
    '',
  ]);
});

it('shows layers × workers, replicas and those that load too', () => {
  const row = (name: string, start: number, end: number) => ({
    peer: `p-${name}`,
    name,
    layers: [start, end] as [number, number],
    state: 'held' as const,
    sequences: 0,
  });
  const text = statusText('http://h', {
    ...found,
    layers: [
      { ...row('tab-1', 0, 5), sequences: 2 },
      row('tab-3', 0, 8),
      { ...row('tab-2', 5, 8), state: 'away', sequences: 1 },
      { ...row('tab-4', 5, 8), state: 'loading' },
    ],
  });
  expect(text).toContain(
    [
      '  layers  held  by',
      '  0–4     2×    tab-3, tab-1 (2 running)',
      '  5–7     1×    tab-3, tab-2 (away, 1 running), tab-4 (loads)',
    ].join('\n'),
  );
});

/** A mesh of `size` stages, each with a replica; answers run on both routes. */
function meshOf(size: number): Status {
  const name = (copy: string, index: number) => `laptop-${copy}${index + 1}`;
  const each = <T>(make: (index: number) => T) => Array.from({ length: size }, (_, index) => make(index));
  const stages = (copy: string) =>
    each((index) => ({ peer: `p-${copy}${index}`, name: name(copy, index), start: index, end: index + 1 }));
  const workers = ['a', 'b'].flatMap((copy) =>
    each((index) => ({
      ...worker,
      peer: `p-${copy}${index}`,
      name: name(copy, index),
      layers: [index, index + 1] as [number, number],
    })),
  );
  return {
    ...found,
    model: { id: 'minnow', layers: size, contextLength: 512 },
    pipeline: {
      epoch: 3,
      stages: stages('a').map(({ start, end, ...stage }) => ({
        ...stage,
        shard: { start, end, embedding: start === 0, head: end === size },
      })),
    },
    workers: [
      ...workers,
      { ...spare, problem: null, spare: { why: 'small-memory', neededBytes: 2, lentBytes: 1 } },
    ],
    layers: workers.map(({ peer, name, layers }) => ({ peer, name, layers, state: 'held', sequences: 3 })),
    routes: [
      { stages: stages('a'), sequences: 3 },
      { stages: stages('b'), sequences: 1 },
    ],
    nodes: [],
  };
}

it.each([1, 3, 12])('tells the routes of %i stages in 80 columns', (size) => {
  const text = statusText('http://127.0.0.1:8787', meshOf(size), 80);
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  const routes = text.split('\n\n').find((part) => part.trimStart().startsWith('answers'))!;
  // Nothing of a route is cut.
  for (let stage = 1; stage <= size; stage++) {
    expect(routes).toMatch(new RegExp(`laptop-a${stage} ${stage - 1}( |$)`, 'm'));
    expect(routes).toMatch(new RegExp(`laptop-b${stage} ${stage - 1}( |$)`, 'm'));
  }
  expect(routes).toMatch(/^ {2}3 +laptop-a1 0/m);
  expect(routes).not.toContain('…');
});

it('cuts nothing where nobody says how wide the terminal is, and names how many routes it leaves out', () => {
  const mesh = meshOf(12);
  const many = { ...mesh, routes: Array.from({ length: 11 }, () => mesh.routes![0]!) };
  const text = statusText('http://h', many);
  expect(text).toContain('laptop-a11 10 → laptop-a12 11');
  expect(text).toContain('and 3 more routes');
  expect(text).not.toContain('…');
});

it('shows a server that serves nothing yet', () => {
  const empty = {
    ...found,
    ready: false,
    detail: 'no workers',
    model: null,
    pipeline: null,
    workers: [],
    nodes: [],
  };
  expect(statusText('http://h', { ...empty, requestsInFlight: 0 })).toBe(
    '! http://h (fxn): no workers\n\n  requests  0 in flight\n',
  );
});

it('names who was lost while the rest loads, and why a worker holds nothing', () => {
  const text = statusText('http://h', {
    ...found,
    pipeline: null,
    loading: { stages: [], ready: 0, bytesDone: 3.1e6, bytesTotal: 9.8e6 },
    recovery: { id: 1, lost: [{ worker: 'tab-1', how: 'left' }], step: 'loading', with: ['tab-2', 'tab-3'] },
    workers: [{ ...spare, spare: { why: 'small-memory', neededBytes: 9e6, lentBytes: 5e6 } }],
  });
  expect(text).toContain('! tab-1 left, goes on with tab-2 and tab-3: loading 3.1 of 9.8 MB\n');
  expect(text).toMatch(/phone +spare: lends too little +–/);
});

it('marks a server whose own mesh is missing, though a lent backend answers', () => {
  const lent = { ...found, pipeline: null, detail: '1 of 2 nodes are ready; mesh: no worker has joined' };
  expect(statusText('http://h', lent)).toMatch(/^! http:\/\/h \(fxn\): 1 of 2/);
  const proxy = { ...found, provider: 'custom' as const, model: null, pipeline: null };
  expect(statusText('http://h', proxy)).toMatch(/^✓ /);
});

it('is JSON for programs, as the server gives it', async () => {
  const written: string[] = [];
  const client = { baseUrl: 'http://h', fetch: async () => Response.json(found) };
  await status(
    { server: 'http://h', json: true },
    new AbortController().signal,
    client,
    (text) => void written.push(text),
  );
  expect(JSON.parse(written.join(''))).toEqual(found);
});

it('says so when something else answers there', async () => {
  for (const answer of [Response.json({ hello: 'world' }), new Response('<html>')]) {
    const client = { baseUrl: 'http://h', fetch: async () => answer };
    await expect(status({ server: 'http://h' }, new AbortController().signal, client)).rejects.toThrow(
      expect.objectContaining({
        code: 'BACKEND_FAILED',
        message: expect.stringMatching(/http:\/\/h\/api\/status .*is it a Shoal server/),
      }),
    );
  }
});

it('gives up on a server that takes the connection and says nothing', async () => {
  const client = {
    baseUrl: 'http://h',
    fetch: (_url: string, init?: RequestInit) =>
      new Promise<Response>((_, reject) => {
        if (init?.signal?.aborted) reject(init.signal.reason);
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      }),
  };
  const never = new AbortController().signal;
  await expect(statusInTime(client, never, AbortSignal.abort())).rejects.toThrow(
    expect.objectContaining({ code: 'BACKEND_FAILED', message: expect.stringContaining('said nothing') }),
  );
  await expect(statusInTime(client, AbortSignal.abort(), never)).rejects.toThrow(
    expect.objectContaining({ code: 'ABORTED' }),
  );
});

it('says once what a node says', () => {
  const text = statusText('http://here', {
    ...found,
    detail: '1 of 2 nodes are ready; gpu.example:8000: HTTP 500',
  });
  expect(text.match(/HTTP 500/g)).toHaveLength(1);
  expect(text).toContain('! gpu.example:8000: HTTP 500');
});
