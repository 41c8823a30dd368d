import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/model/sampling.ts';
import { SimClient } from '../../src/sim/client.ts';
import { simModel } from '../../src/sim/model.ts';
import { LAN } from '../../src/sim/topologies.ts';
import { World } from '../../src/sim/world.ts';

const CONTEXT = 96;
const STAGES = 2;
const REQUESTS = 64;
const TOKENS = 40;

/** Tokens a second of all requests together, once each layer is held `replicas` times by modelled GPUs. */
async function throughput(replicas: number): Promise<number> {
  const model = simModel({
    layers: 4,
    contextLength: CONTEXT,
    layerBytes: 50e6,
    headBytes: 10e6,
    layerMacs: 5e6,
    headMacs: 5e6,
  });
  const world = new World({
    seed: 1,
    model,
    topology: LAN,
    mesh: { replicas, minStages: STAGES, maxStages: STAGES },
  });
  world.server.start();
  for (let i = 0; i < STAGES * replicas; i++) {
    world.open({
      name: `gpu ${i}`,
      site: 0,
      uplinkBytesPerMs: 10_000,
      downloadBytesPerMs: 50_000,
      memoryBudgetBytes: 260e6,
      // A step of 32 rows takes 10 times that of one.
      rate: { macsPerSecond: 1e9, launchMs: 1, rowShare: 0.3 },
    });
  }
  const { clock } = world;
  const held = () => world.alive.filter(({ devices }) => (devices[0]?.engines.length ?? 0) > 0).length;
  await clock.run(
    60_000,
    () => held() === STAGES * replicas && world.server.mesh?.readiness().ready === true,
  );
  await clock.run(5_000);
  const startedMs = clock.now();
  const clients = Array.from({ length: REQUESTS }, (_, index) => {
    const prompt = Array.from({ length: 8 }, (_, at) => index * 10 + at);
    const asked = { prompt, maxTokens: TOKENS, eosTokenIds: [], sampling: GREEDY };
    return new SimClient(world, { asked, deadlineMs: 600_000 });
  });
  await clock.run(600_000, () => clients.every(({ hasEnded }) => hasEnded));
  expect(clients.map((client) => client.verdict())).toEqual(clients.map(() => null));
  expect(clients.map(({ state }) => state)).toEqual(clients.map(() => 'finished'));
  return (REQUESTS * TOKENS * 1_000) / (clock.now() - startedMs);
}

describe('replicas', () => {
  it('of each stage, two give nearly twice the tokens of one', { timeout: 120_000 }, async () => {
    const [one, two] = [await throughput(1), await throughput(2)];
    expect(two / one).toBeGreaterThan(1.8);
  });
});
