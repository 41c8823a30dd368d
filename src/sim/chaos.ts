/** One schedule of faults against the whole mesh, and what must be true of it in the end. */
import { ShoalError } from '../config/errors.ts';
import { kvBytes } from '../model/gpu-bytes.ts';
import { type ChaosScene, inflict } from './chaos-faults.ts';
import { ANSWER_DEADLINE_MS, type ChaosPlan, CONTEXT, planChaos } from './chaos-plan.ts';
import { SimClient } from './client.ts';
import { leftovers } from './leftovers.ts';
import { type SimModel, simModel } from './model.ts';
import type { SimTab, TabOptions } from './tab.ts';
import { LAN, LOOPBACK, WAN } from './topologies.ts';
import { World } from './world.ts';

export interface ChaosResult {
  readonly seed: number;
  /** What was wrong; empty: nothing. */
  readonly problems: readonly string[];
  readonly finished: number;
  /** Error codes of answers that failed. */
  readonly failures: readonly string[];
  readonly restarts: number;
  readonly events: number;
  /** Of everything that was sent, and when. */
  readonly digest: number;
}

export interface ChaosOptions {
  /** Takes the server's log and the faults, line by line. */
  readonly onLine?: (line: string) => void;
}

/** Mesh that stands before anything goes wrong. */
const FORMING_MS = 30_000;
/** After the last fault, until the mesh must serve again. */
const RECOVERY_MS = 180_000;
/** After the last answer, until nothing of any may be left. */
const SETTLING_MS = 15_000;

export async function runChaos(seed: number, options: ChaosOptions = {}): Promise<ChaosResult> {
  const plan = planChaos(seed);
  const world = new World({ seed, model: modelOf(plan), topology: TOPOLOGIES[plan.topology] });
  world.log.onLine = options.onLine ?? null;
  const { clock } = world;
  const clients: SimClient[] = [];
  const problems: string[] = [];
  const join = (before?: SimTab) => openTab(world, plan, before);
  const scene: ChaosScene = { world, plan, clients, join };
  const ask = (
    { asked, topLogprobs, resumes }: ChaosPlan['answers'][number],
    deadlineMs = ANSWER_DEADLINE_MS,
  ) => {
    const logprobs = topLogprobs === null ? {} : { topLogprobs };
    const client = new SimClient(world, { asked, deadlineMs, resumes, ...logprobs });
    clients.push(client);
    return client;
  };

  world.server.start();
  for (let i = 0; i < plan.workers; i++) join();
  await clock.run(FORMING_MS, () => world.server.mesh?.readiness().ready ?? false);
  if (world.server.mesh?.readiness().ready !== true)
    problems.push(`no route within ${FORMING_MS} ms: ${world.server.mesh?.readiness().detail}`);

  for (const answer of plan.answers) clock.after(answer.atMs, () => void ask(answer));
  for (const fault of plan.faults) {
    clock.after(fault.atMs, () => {
      options.onLine?.(`${(clock.now() / 1_000).toFixed(3)} fault ${JSON.stringify(fault)}`);
      inflict(scene, fault);
    });
  }
  await clock.run(plan.calmAtMs);
  world.network.unblockAll();
  if (world.server.mesh === null) world.server.start();
  while (world.alive.length < plan.workers) join();
  await clock.run(2 * ANSWER_DEADLINE_MS, () => clients.every(({ hasEnded }) => hasEnded));

  // What works must work again once nothing goes wrong any more.
  const { asked } = plan.answers[0]!;
  const recovered = await untilServed(world, () =>
    ask({ asked, atMs: 0, topLogprobs: null, resumes: false }),
  );
  if (!recovered) problems.push(`nothing is served ${RECOVERY_MS} ms after the last fault`);

  await clock.run(SETTLING_MS);
  for (const [index, client] of clients.entries()) {
    const wrong = client.verdict();
    if (wrong !== null) problems.push(`answer ${index}: ${wrong}`);
  }
  problems.push(...world.log.bugs.map((bug) => `the server's log: ${bug}`));
  problems.push(...(await leftovers(world)));
  return {
    seed,
    problems,
    finished: clients.filter(({ state }) => state === 'finished').length,
    failures: clients.flatMap(({ state, error }) => (state === 'failed' ? [error?.code ?? '?'] : [])),
    restarts: clients.reduce((sum, { restarts }) => sum + restarts, 0),
    events: clock.ran,
    digest: world.network.digest,
  };
}

const TOPOLOGIES = { loopback: LOOPBACK, lan: LAN, wan: WAN };

/** Asks until an answer is whole. */
async function untilServed(world: World, ask: () => SimClient): Promise<boolean> {
  const untilMs = world.clock.now() + RECOVERY_MS;
  while (world.clock.now() < untilMs) {
    const client = ask();
    await world.clock.run(ANSWER_DEADLINE_MS, () => client.hasEnded);
    if (client.state === 'finished') return true;
    await world.clock.run(2_000);
  }
  return false;
}

const LAYER_BYTES = 2e6;
const HEAD_BYTES = 4e6;
/** Of the quickest worker; the plan says how long a layer takes it. */
const MACS_PER_SECOND = 1e9;

function modelOf(plan: ChaosPlan): SimModel {
  const layerMacs = (plan.layerMs / 1_000) * MACS_PER_SECOND;
  return simModel({
    layers: plan.layers,
    contextLength: CONTEXT,
    layerBytes: LAYER_BYTES,
    headBytes: HEAD_BYTES,
    layerMacs,
    headMacs: layerMacs,
    f16RangeOneIn: plan.f16RangeOneIn,
  });
}

function openTab(world: World, plan: ChaosPlan, before?: SimTab): SimTab {
  const random = world.random.fork(`machine ${world.tabs.length}`);
  const most = Math.ceil(plan.layers / plan.stages);
  const layer = LAYER_BYTES + kvBytes(world.model.spec, 1, CONTEXT) * plan.places;
  const scratch = world.model.costs.scratchBytes;
  const loads = random.fork('loads');
  const options: TabOptions = {
    name: `t${world.tabs.length}`,
    site: random.below(6),
    uplinkBytesPerMs: random.between(500, 10_000),
    downloadBytesPerMs: random.between(2_000, 20_000),
    memoryBudgetBytes: Math.round((most * layer + 2 * HEAD_BYTES + scratch) * random.between(1.02, 1.3)),
    rate: {
      macsPerSecond: MACS_PER_SECOND * random.between(0.3, 1),
      launchMs: random.between(0.2, 2),
      rowShare: random.between(0.02, 0.2),
    },
    ...(plan.keptBytes !== null && { maxKeptBytes: plan.keptBytes }),
    loadFault: () =>
      loads.chance(plan.failedLoads) ? new ShoalError('OUT_OF_MEMORY', 'the adapter has no room') : null,
  };
  return world.open(options, before?.cache);
}
