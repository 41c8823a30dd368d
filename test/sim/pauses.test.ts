/** How long an answer stands still for a loss, in virtual time: no fixed wait may stand between a loss and the next token. */
import { afterEach, describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/model/sampling.ts';
import { SimClient } from '../../src/sim/client.ts';
import { simModel } from '../../src/sim/model.ts';
import type { SimTab } from '../../src/sim/tab.ts';
import { LAN } from '../../src/sim/topologies.ts';
import { World } from '../../src/sim/world.ts';

const ROOMS = {
  'one stage, held twice': { stages: 1, replicas: 2, spares: 0 },
  'one stage and a spare': { stages: 1, replicas: 1, spares: 1 },
  'two stages, held twice': { stages: 2, replicas: 2, spares: 0 },
  'three stages, held twice': { stages: 3, replicas: 2, spares: 0 },
  'two stages and a spare': { stages: 2, replicas: 1, spares: 1 },
  'two stages and nobody else': { stages: 2, replicas: 1, spares: 0 },
} as const;
type RoomName = keyof typeof ROOMS;

/** The whole model is loaded in so long by one worker. */
const WHOLE_LOAD_MS = 4_700;
const SERVER_AWAY_MS = 1_500;

let world: World;
afterEach(() => world.server.mesh?.close());

async function open({ stages, replicas, spares }: (typeof ROOMS)[RoomName]): Promise<void> {
  const bytes = { layerBytes: 50e6, headBytes: 10e6 };
  const model = simModel({ layers: 4, contextLength: 400, ...bytes, layerMacs: 5e6, headMacs: 5e6 });
  const mesh = { replicas, minStages: stages, maxStages: stages };
  world = new World({ seed: 1, model, topology: LAN, mesh });
  world.server.start();
  for (let i = 0; i < stages * replicas + spares; i++) {
    world.open({
      name: `gpu-${i}`,
      site: 0,
      uplinkBytesPerMs: 10_000,
      downloadBytesPerMs: 50_000,
      memoryBudgetBytes: stages === 1 ? 600e6 : 260e6,
      rate: { macsPerSecond: 1e9, launchMs: 1, rowShare: 0.3 },
    });
  }
  const holding = () => world.alive.filter(({ devices }) => (devices[0]?.engines.length ?? 0) > 0).length;
  const isReady = () => holding() >= stages * replicas && world.server.mesh?.readiness().ready === true;
  await world.clock.run(60_000, isReady);
  await world.clock.run(30_000);
}

function ask(maxTokens: number): SimClient {
  const prompt = Array.from({ length: 40 }, (_, at) => at * 7);
  const asked = { prompt, maxTokens, eosTokenIds: [], sampling: GREEDY };
  return new SimClient(world, { asked, deadlineMs: 300_000, resumes: true });
}

/** The stages of the answer that runs. */
function stagesOf(): SimTab[] {
  const { stages } = world.server.mesh!.routes.inUse()[0]!;
  return stages.map(({ name }) => world.tabs.find(({ options }) => options.name === name)!);
}

/** An answer on its way; its rounds are known. */
async function running(tokens: number): Promise<SimClient> {
  const before = ask(30);
  await world.clock.run(60_000, () => before.hasEnded);
  const client = ask(100);
  await world.clock.run(60_000, () => client.ids.length >= tokens);
  return client;
}

/** The longest wait for a token, and from `sinceMs` to the first after it. */
async function pausesOf(client: SimClient, sinceMs: number) {
  await world.clock.run(250_000, () => client.hasEnded);
  expect(client.error).toBeNull();
  expect(client.verdict()).toBeNull();
  const gaps = client.atMs.map((atMs, index) => atMs - (client.atMs[index - 1] ?? client.askedAtMs));
  return { longestMs: Math.max(...gaps), nextMs: client.atMs.find((atMs) => atMs > sinceMs)! - sinceMs };
}

const strikes = {
  freezes: (tab: SimTab) => tab.process.freeze(),
  'is killed': (tab: SimTab) => tab.kill(),
  vanishes: (tab: SimTab) => tab.vanish(),
};
type How = keyof typeof strikes;
const HOW = Object.keys(strikes) as How[];

describe.each<[RoomName, number]>([
  // Nobody waits for it over a link: what is noticed is that the server does not hear it, either.
  ['one stage, held twice', 3_100],
  ['three stages, held twice', 1_000],
  ['two stages, held twice', 1_000],
  ['two stages and nobody else', 5_000],
  ['two stages and a spare', 5_000],
  ['one stage and a spare', 3_100],
])('%s: no pause is longer than %i ms where a stage', (name, boundMs) => {
  it.each(HOW)('%s in mid-answer', async (how) => {
    await open(ROOMS[name]);
    const client = await running(20);
    strikes[how](stagesOf().at(-1)!);
    const { longestMs } = await pausesOf(client, world.clock.now());
    expect(longestMs).toBeLessThanOrEqual(boundMs);
  });

  it('freezes while it is asked to open the sequence', async () => {
    await open(ROOMS[name]);
    const client = await running(0);
    await world.clock.run(0.01);
    expect(client.ids).toEqual([]);
    stagesOf().at(-1)!.process.freeze();
    const { longestMs } = await pausesOf(client, world.clock.now());
    expect(longestMs).toBeLessThanOrEqual(boundMs);
  });
});

describe.each<[RoomName, number]>([
  ['two stages, held twice', 2_500],
  ['three stages, held twice', 2_500],
  // Who is left has to load, or was asked by nobody what it runs.
  ['one stage, held twice', 5_000],
  ['two stages and nobody else', 5_000],
])(
  '%s: no later than %i ms after the server is back is the next token there, where a stage',
  (name, boundMs) => {
    it.each(HOW)('%s while it is away', async (how) => {
      await open(ROOMS[name]);
      const client = await running(20);
      const stages = stagesOf();
      world.server.kill();
      await world.clock.run(500);
      strikes[how](stages.at(-1)!);
      await world.clock.run(SERVER_AWAY_MS);
      world.server.start();
      const { nextMs } = await pausesOf(client, world.clock.now());
      expect(nextMs).toBeLessThanOrEqual(boundMs);
    });
  },
);

describe('all stages of a route freeze at once', () => {
  it.each<[RoomName, number]>([
    ['two stages, held twice', 4_000],
    // It loads the model alone.
    ['two stages and a spare', 4_000 + WHOLE_LOAD_MS],
  ])('%s: the others go on within %i ms, whatever these said of each other', async (name, boundMs) => {
    await open(ROOMS[name]);
    const client = await running(20);
    for (const tab of stagesOf()) tab.process.freeze();
    const { longestMs } = await pausesOf(client, world.clock.now());
    expect(longestMs).toBeLessThanOrEqual(boundMs);
  });
});

describe('workers that were away with the server', () => {
  it('are waited for: the spare that comes first does not load what they hold', async () => {
    await open(ROOMS['two stages and a spare']);
    const client = await running(20);
    const loaded = () => world.tabs.reduce((sum, { devices }) => sum + devices[0]!.engines.length, 0);
    const before = loaded();
    world.server.kill();
    await world.clock.run(SERVER_AWAY_MS);
    world.server.start();
    const { nextMs } = await pausesOf(client, world.clock.now());
    expect(nextMs).toBeLessThanOrEqual(3_000);
    expect(loaded()).toBe(before);
  });
});
