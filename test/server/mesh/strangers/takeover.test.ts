import { afterEach, expect, it } from 'vitest';
import { TRUSTED_TOKENS } from '../../../../src/config/limits.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, FAKE_VOCAB, type FakeWorker, type FakeWorkerOptions } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** A script without a GPU that says whatever it takes to be given clients' sequences. */

let harness: Harness;
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

const answer = async (maxTokens = 5) =>
  collect(harness.mesh.coordinator.generate(request({ maxTokens }), never()));
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id)!;
/** Clients' sequences that it was given. */
const clientsOf = (worker: FakeWorker) =>
  worker.messages('open').filter(({ promptTokens }) => promptTokens === PROMPT.length).length;
const LIAR: FakeWorkerOptions = {
  capability: { gemvMacsPerSecond: 1e18 },
  misbehaviour: {
    onToken: (worker, token, send) => {
      worker.send({ ...token, token: (token.token + 1) % FAKE_VOCAB });
      send();
    },
  },
};

/** A worker that comes from elsewhere than all others. */
async function joinFrom(address: string, name: string, options?: FakeWorkerOptions): Promise<FakeWorker> {
  const worker = await harness.join(name, options);
  peerOf(worker).address = address;
  return worker;
}

/** Seconds pass, until it is so if there is an `it`. */
async function pass(seconds: number, isSo = () => false): Promise<void> {
  for (let i = 0; i < seconds && !isSo(); i++) {
    await Promise.all(
      harness.workers.filter(({ isAlive }) => isAlive).map((worker) => harness.heard(worker)),
    );
    harness.timers.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it.each([
  ['no class', undefined],
  ['a made-up class', 'made-up'],
])('with %s, whatever speed it says, gets no client while another serves', async (_, name) => {
  harness = await Harness.start({ minStages: 1, replicas: 2, probes: true });
  await harness.join('a', { capability: { class: 'x' } });
  await harness.untilLive(1);
  for (let i = 0; i < 4; i++) await answer(TRUSTED_TOKENS);
  const { capability, misbehaviour } = LIAR;
  const liar = await harness.join('liar', {
    ...(misbehaviour && { misbehaviour }),
    capability: { ...capability, ...(name !== undefined && { class: name }) },
  });
  await pass(30, () => liar.messages('open').length > 0);
  expect(liar.messages('open')).not.toEqual([]);
  await pass(10);
  for (let i = 0; i < 4; i++) expect((await answer()).ids).toEqual(expectedIds(PROMPT, 5));
  expect(clientsOf(liar)).toBe(0);
  expect(harness.live).toEqual(['a']);
  // It may be honest, and round otherwise: nobody blames it.
  expect(peerOf(liar).problem).toBe(null);
  harness.byName('a').kill();
  await until(() => harness.live.includes('liar'), 'nobody else can');
});

it('that is first does not decide what others have to compute: two who agree go before it', async () => {
  harness = await Harness.start({ minStages: 1, replicas: 3, probes: true });
  const capability = { class: 'x' };
  const liar = await joinFrom('192.0.2.1', 'liar', { ...LIAR, capability });
  await harness.untilLive(1);
  const honest = [
    await joinFrom('192.0.2.2', 'a', { capability }),
    await joinFrom('192.0.2.3', 'b', { capability }),
  ];
  await until(() => honest.every(({ held }) => held.size > 0), 'they hold');
  await pass(20);
  expect(honest.map((worker) => peerOf(worker).problem)).toEqual([null, null]);
  const before = clientsOf(liar);
  expect((await answer()).ids).toEqual(expectedIds(PROMPT, 5));
  expect(clientsOf(liar)).toBe(before);
});

it('who has served nobody gets one sequence at a time, beside those who have', async () => {
  harness = await Harness.start({ minStages: 1, replicas: 2, probes: true });
  await harness.join('a', { capability: { class: 'x' } });
  await harness.untilLive(1);
  for (let i = 0; i < 4; i++) await answer(TRUSTED_TOKENS);
  const quick = await harness.join('quick', { capability: { class: 'x', gemvMacsPerSecond: 1e18 } });
  await pass(30, () => quick.messages('open').length > 0);
  await pass(2);
  quick.misbehaviour = { onToken: () => {} };
  harness.byName('a').misbehaviour = { onToken: () => {} };
  const stop = new AbortController();
  const answers = Array.from({ length: 6 }, () =>
    collect(harness.mesh.coordinator.generate(request(), stop.signal)).catch(() => null),
  );
  await until(() => clientsOf(harness.byName('a')) >= 4 + 5, 'the others are elsewhere');
  expect(clientsOf(quick)).toBe(1);
  stop.abort();
  await Promise.all(answers);
});
