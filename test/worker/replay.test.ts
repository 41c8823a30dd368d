import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/model/sampling.ts';
import { FAKE_SPEC, soloTokens } from './fake-engine.ts';
import { deal, seededRandom, turns } from './pipeline.ts';
import { RouteServer, type RouteServerOptions, type Stop } from './route-server.ts';

const PROMPT = Array.from({ length: 150 }, (_, i) => (i * 37) % 1000);
const LONG = Array.from({ length: 900 }, (_, i) => (i * 53) % 1000);
const SAMPLED = { ...GREEDY, temperature: 0.8, seed: 42 };
const PENALTIES = { ...SAMPLED, repetitionPenalty: 1.2 };
const MAX_TOKENS = 40;

/** `k` workers a0 … and as many replicas b0 …, all linked. */
async function replicated(k: number, options: RouteServerOptions = {}) {
  const server = new RouteServer(options);
  const [a, b] = [await server.addAll('a', k), await server.addAll('b', k)];
  const replace = (route: readonly Stop[], ...lost: number[]): Stop[] =>
    route.map((stop, index) => (lost.includes(index) ? b[index]! : stop));
  const rows = (stops: readonly Stop[]) => stops.map(({ name }) => server.engine(name).rows());
  return { server, a, b, replace, rows };
}

/** Rows that one stage computes of an answer when nothing goes wrong: of all positions but the last. */
const positions = (prompt: readonly number[]) => prompt.length + MAX_TOKENS - 1;

describe.each([1, 2, 3, 5])('a replacement on a route of %i', (k) => {
  const lostOnes = k === 1 ? [0] : k === 2 ? [0, 1] : [0, Math.floor(k / 2), k - 1];

  it.each(
    lostOnes.flatMap((lost) => [
      [lost, 'greedy', GREEDY, 'f16'] as const,
      [lost, 'penalties', PENALTIES, 'f32'] as const,
    ]),
  )(
    'for stage %i goes on with the same tokens, and it alone prefills: %s',
    async (lost, _name, sampling, wire) => {
      const { server, a, replace, rows } = await replicated(k);
      server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS, sampling, wire });
      await server.until(() => server.tokens(1).length >= 13);
      server.kill(a[lost]!.name);
      await turns(20);
      const route = replace(a, lost);
      const before = rows(route);
      const known = PROMPT.length + server.tokens(1).length;
      server.reroute(1, route);
      expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, sampling));
      const computed = rows(route).map((after, index) => after - before[index]!);
      const again = positions(PROMPT) - (known - 1);
      expect(computed).toEqual(route.map((_, index) => (index === lost ? positions(PROMPT) : again)));
      expect(server.failures).toEqual([]);
    },
  );

  it('is replaced in turn, and so is its neighbour', async () => {
    const { server, a, b, replace } = await replicated(k);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS, sampling: PENALTIES });
    await server.until(() => server.tokens(1).length >= 5);
    server.reroute(1, replace(a, 0));
    await server.until(() => server.tokens(1).length >= 10);
    server.reroute(1, b);
    await server.until(() => server.tokens(1).length >= 20);
    server.reroute(1, replace(b, 0));
    server.reroute(1, a);
    await server.until(() => server.tokens(1).length >= 30);
    server.reroute(1, replace(a, k - 1));
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, PENALTIES));
    expect(server.failures).toEqual([]);
  });
});

describe('a loss', () => {
  it.each([0, 1, 2])(
    'of stage %i in the middle of a prefill: what the others hold is not computed again',
    async (lost) => {
      const { server, a, replace, rows } = await replicated(3, { onStep: () => turns(2) });
      server.start(1, a, { prompt: LONG, maxTokens: MAX_TOKENS });
      await turns(25);
      server.kill(a[lost]!.name);
      await turns(40);
      const route = replace(a, lost);
      const before = rows(route);
      server.reroute(1, route);
      expect(await server.finished(1)).toEqual(soloTokens(LONG, MAX_TOKENS, GREEDY));
      const held = server.held(1).map(({ position }) => position);
      expect(held[lost]).toBe(0);
      expect(Math.max(...held)).toBeGreaterThan(100);
      const computed = rows(route).map((after, index) => after - before[index]!);
      expect(computed).toEqual(held.map((position) => positions(LONG) - position));
    },
  );

  it('of two stages at once', async () => {
    const { server, a, replace, rows } = await replicated(4);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS });
    await server.until(() => server.tokens(1).length >= 13);
    for (const lost of [1, 2]) server.kill(a[lost]!.name);
    await turns(20);
    const route = replace(a, 1, 2);
    const before = rows(route);
    const known = PROMPT.length + server.tokens(1).length;
    server.reroute(1, route);
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
    const again = positions(PROMPT) - (known - 1);
    const computed = rows(route).map((after, index) => after - before[index]!);
    expect(computed).toEqual([again, positions(PROMPT), positions(PROMPT), again]);
  });

  it('of the replacement, at every moment of its replay', async () => {
    for (let moment = 0; moment < 40; moment += 2) {
      const { server, a, replace, rows } = await replicated(3, { onStep: () => turns(1) });
      await server.add('c1', deal(FAKE_SPEC.layers, 3)[1]!);
      server.start(1, a, { prompt: LONG.slice(0, 400), maxTokens: MAX_TOKENS });
      await server.until(() => server.tokens(1).length >= 3);
      server.kill('a1');
      server.reroute(1, replace(a, 1));
      await turns(moment);
      server.kill('b1');
      await turns(5);
      const route = a.map((stop, index) => (index === 1 ? { name: 'c1', shard: 0 } : stop));
      const known = 400 + server.tokens(1).length;
      const before = rows(route);
      server.reroute(1, route);
      expect(await server.finished(1)).toEqual(soloTokens(LONG.slice(0, 400), MAX_TOKENS, GREEDY));
      const computed = rows(route).map((after, index) => after - before[index]!);
      const whole = 400 + MAX_TOKENS - 1;
      expect(computed).toEqual([whole - (known - 1), whole, whole - (known - 1)]);
    }
  });

  it('after the rows that would be sent again were given up: they are computed again from what comes before', async () => {
    const { server, a, replace, rows } = await replicated(3, { maxKeptBytes: 0 });
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS });
    await server.until(() => server.tokens(1).length >= 13);
    server.kill('a2');
    await turns(10);
    const route = replace(a, 2);
    const before = rows(route);
    server.reroute(1, route);
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
    // The last block of rows may still be there; nobody knows less than nothing.
    expect(server.held(1)[1]!.keptFrom).toBeGreaterThan(0);
    const computed = rows(route).map((after, index) => after - before[index]!);
    expect(computed).toEqual([positions(PROMPT), positions(PROMPT), positions(PROMPT)]);
    expect(server.failures).toEqual([]);
  });

  it('keeps no rows of a sequence that is closed', async () => {
    const { server, a, replace } = await replicated(3, { maxKeptBytes: 20_000 });
    const run = async (sequence: number) => {
      server.start(sequence, a, { prompt: PROMPT.slice(sequence), maxTokens: MAX_TOKENS });
      await server.until(() => server.tokens(sequence).length >= 3);
      server.reroute(sequence, replace(a, sequence % 3));
      expect(await server.finished(sequence)).toEqual(soloTokens(PROMPT.slice(sequence), MAX_TOKENS, GREEDY));
      return server.held(sequence).map(({ keptFrom }) => keptFrom);
    };
    // Were they kept, the later ones would find no room.
    for (let sequence = 1; sequence <= 12; sequence++) {
      const keptFrom = await run(sequence);
      expect(keptFrom.slice(0, 2)).toEqual([0, 0]);
    }
  });
});

describe('a new route', () => {
  it('in another wire format begins at 0 everywhere', async () => {
    const { server, a } = await replicated(3);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS });
    await server.until(() => server.tokens(1).length >= 3);
    server.reroute(1, a, 'f32');
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
    expect(server.held(1).map(({ position }) => position)).toEqual([0, 0, 0]);
  });

  it('refuses late frames of the old one: nothing of them is computed', async () => {
    const { server, a, replace } = await replicated(3);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS });
    await server.until(() => server.tokens(1).length >= 3);
    // The old second stage's frames are held up and come when the replacement has taken over.
    server.link('a1', 'a2').stall();
    await turns(20);
    const route = replace(a, 1);
    server.reroute(1, route);
    await server.until(() => server.tokens(1).length >= 10);
    const stall = server.link('a1', 'a2');
    stall.resume();
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
    expect(server.failures).toEqual([]);
  });

  it('may use a part of what a worker holds, where its engine can', async () => {
    const server = new RouteServer();
    const whole = { start: 0, end: FAKE_SPEC.layers, embedding: true, head: true };
    await server.add('a', whole);
    await server.add('b', whole);
    for (const name of ['a', 'b']) server.engine(name).canComputePart = true;
    const halves = (first: string, second: string): Stop[] => [
      { name: first, shard: 0, layers: [0, 3] },
      { name: second, shard: 0, layers: [3, FAKE_SPEC.layers] },
    ];
    const options = { prompt: PROMPT, maxTokens: MAX_TOKENS };
    server.start(1, halves('a', 'b'), options);
    server.start(2, halves('b', 'a'), options);
    server.start(3, [{ name: 'a', shard: 0 }], options);
    await server.until(() => [1, 2, 3].every((sequence) => server.tokens(sequence).length >= 3));
    server.reroute(1, [{ name: 'b', shard: 0 }]);
    server.reroute(3, halves('a', 'b'));
    const solo = soloTokens(PROMPT, MAX_TOKENS, GREEDY);
    for (const sequence of [1, 2, 3]) expect(await server.finished(sequence)).toEqual(solo);
    expect(server.failures).toEqual([]);
  });

  it('is refused where the engine cannot compute a part of its shard', async () => {
    const server = new RouteServer();
    await server.add('a', { start: 0, end: FAKE_SPEC.layers, embedding: true, head: true });
    server.start(1, [{ name: 'a', shard: 0, layers: [0, 3] }], { prompt: PROMPT, maxTokens: 3 });
    expect(server.failures).toMatchObject([{ sequence: 1, epoch: 1, error: { code: 'PROTOCOL_INVALID' } }]);
  });
});

it('a sequence that moves to another shard of the same worker leaves nothing on the first', async () => {
  const server = new RouteServer();
  const whole = { start: 0, end: FAKE_SPEC.layers, embedding: true, head: true };
  await server.add('a', whole, whole);
  server.start(1, [{ name: 'a', shard: 0 }], { prompt: PROMPT, maxTokens: MAX_TOKENS });
  await server.until(() => server.tokens(1).length >= 3);
  server.reroute(1, [{ name: 'a', shard: 1 }]);
  await turns(5);
  expect(server.engine('a', 0).openSequences).toBe(0);
  expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
  expect(server.failures).toEqual([]);
});

describe('one shard on several routes', () => {
  it('sends the rows of one micro-batch to different next hops', async () => {
    const server = new RouteServer({ onStep: () => turns(1) });
    const [first, second] = deal(FAKE_SPEC.layers, 2);
    await server.add('a', first!);
    await server.add('b', second!);
    await server.add('c', second!);
    const routes = ['b', 'c', 'b', 'c'].map((name) => [
      { name: 'a', shard: 0 },
      { name, shard: 0 },
    ]);
    const prompts = routes.map((_, index) => PROMPT.slice(index * 9));
    for (const [index, route] of routes.entries()) {
      server.start(index, route, { prompt: prompts[index]!, maxTokens: MAX_TOKENS });
    }
    for (const [index, prompt] of prompts.entries()) {
      expect(await server.finished(index)).toEqual(soloTokens(prompt, MAX_TOKENS, GREEDY));
    }
    const hops = server
      .engine('a')
      .steps.map(({ entries }) => new Set(entries.map(({ sequence }) => sequence % 2)));
    expect(hops.some(({ size }) => size === 2)).toBe(true);
    expect(server.failures).toEqual([]);
  });

  it('is told apart from another shard of the same worker, though one frame carries rows for both', async () => {
    const server = new RouteServer();
    const [first, second] = deal(FAKE_SPEC.layers, 2);
    await server.add('a', first!);
    await server.add('b', second!, second!);
    const prompts = [PROMPT, PROMPT.slice(7), PROMPT.slice(20), PROMPT.slice(31)];
    for (const [index, prompt] of prompts.entries()) {
      const stops = [
        { name: 'a', shard: 0 },
        { name: 'b', shard: index % 2 },
      ];
      server.start(index, stops, { prompt, maxTokens: MAX_TOKENS });
    }
    for (const [index, prompt] of prompts.entries()) {
      expect(await server.finished(index)).toEqual(soloTokens(prompt, MAX_TOKENS, GREEDY));
    }
    expect(server.engine('b', 0).rows() + server.engine('b', 1).rows()).toBe(server.engine('a').rows());
    expect(server.engine('a').steps.some(({ entries }) => entries.length > 1)).toBe(true);
    expect(server.failures).toEqual([]);
  });
});

describe('while the server is away', () => {
  it('an answer goes on to its end, and is told when the server is back', async () => {
    const { server, a } = await replicated(3);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS, sampling: SAMPLED });
    await server.until(() => server.tokens(1).length >= 3);
    server.isAway = true;
    await turns(400);
    expect(server.isOver(1)).toBe(false);
    server.isAway = false;
    server.retell(1);
    expect(server.isOver(1)).toBe(true);
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, SAMPLED));
    expect(a.map(({ name }) => server.engine(name).openSequences)).toEqual([0, 0, 0]);
  });

  it('a link may break and come back: its loss is told with the report, for frames are missing', async () => {
    const { server, a, replace } = await replicated(3);
    server.start(1, a, { prompt: PROMPT, maxTokens: MAX_TOKENS });
    await server.until(() => server.tokens(1).length >= 3);
    server.isAway = true;
    server.link('a0', 'a1').drop();
    await turns(5);
    server.connect('a0', 'a1', 2);
    await turns(50);
    server.isAway = false;
    const { host } = server.workers.get('a0')!;
    const told = server.workers.get('a0')!.events;
    const from = told.length;
    host.report(1);
    const states = told.slice(from).flatMap((event) => (event.type === 'send' ? event.message : []));
    expect(told[from]).toMatchObject({ type: 'report', links: expect.arrayContaining(['a1']) });
    expect(states).toMatchObject([
      { type: 'link', peer: 'a1', state: 'down' },
      { type: 'link', peer: 'a1', state: 'up' },
    ]);
    server.reroute(1, replace(a, 1));
    expect(await server.finished(1)).toEqual(soloTokens(PROMPT, MAX_TOKENS, GREEDY));
  });
});

describe('anything, at any moment', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'seed %i: every answer is the undisturbed one',
    async (seed) => {
      const random = seededRandom(seed + 1);
      const upTo = (bound: number) => Math.floor(random() * bound);
      const k = 1 + upTo(5);
      const { server, a, b } = await replicated(k, {
        maxKeptBytes: [0, 3_000, 1e9][upTo(3)]!,
        frameDelay: () => upTo(4),
        controlDelay: () => upTo(5),
        onStep: () => turns(upTo(3)),
      });
      const places = a.map((stop, index) => [stop, b[index]!]);
      const pick = () => places.map((replicas) => replicas[upTo(2)]!);
      const runs = [1, 2, 3].map((sequence) => {
        const prompt = Array.from({ length: 1 + upTo(400) }, () => upTo(1000));
        const sampling = upTo(2) === 0 ? { ...PENALTIES, seed: sequence } : GREEDY;
        server.start(sequence, pick(), { prompt, maxTokens: 20, sampling });
        return { sequence, prompt, sampling };
      });
      for (let move = 0; move < 12; move++) {
        await turns(upTo(25));
        const { sequence } = runs[upTo(3)]!;
        if (!server.isOver(sequence)) server.reroute(sequence, pick());
      }
      for (const { sequence, prompt, sampling } of runs) {
        expect(await server.finished(sequence)).toEqual(soloTokens(prompt, 20, sampling));
      }
      expect(server.failures).toEqual([]);
      const names = [...a, ...b].map(({ name }) => name);
      expect(names.map((name) => server.engine(name).openSequences)).toEqual(names.map(() => 0));
    },
  );
});
