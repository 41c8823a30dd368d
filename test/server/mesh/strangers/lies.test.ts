import { afterEach, describe, expect, it } from 'vitest';
import { CONTROL_BURST, MAX_PROTOCOL_OFFENCES } from '../../../../src/config/limits.ts';
import type { MeshOptions } from '../../../../src/server/mesh/mesh.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, FAKE_VOCAB, type FakeWorker } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** What a stranger says of itself, of what it holds and of sequences, where none of it is true. */

let harness: Harness;
const start = async (options: Partial<MeshOptions> = {}) => {
  harness = await Harness.start(options);
};
const answer = (over = {}) => collect(harness.mesh.coordinator.generate(request(over), never()));
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id);
const isOut = (worker: FakeWorker) => (peerOf(worker)?.excludedUntil ?? 0) > harness.timers.now();

afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a stranger', () => {
  it('that lends memory which it does not have is left out when it cannot load, and others serve', async () => {
    await start({ expectWorkers: 2, minStages: 1 });
    const liar = await harness.join('liar', {
      capability: { memoryBudgetBytes: 2 ** 50, gemvMacsPerSecond: 1e18 },
      misbehaviour: { load: 'fail' },
    });
    const a = await harness.join('a');
    await until(() => liar.messages('hold').length > 0, 'it was believed once');
    await until(() => harness.live.length === 1 && harness.live[0] === 'a', 'who can serve does');
    expect(isOut(liar)).toBe(true);
    expect(peerOf(liar)?.problem).toContain('OUT_OF_MEMORY');
    expect(isOut(a)).toBe(false);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('that names layers which it was never asked to hold gets nobody’s sequence for them', async () => {
    await start({ minStages: 1, probes: true });
    await harness.joinAll(['a'], 1);
    const liar = await harness.join('liar', { capability: { gemvMacsPerSecond: 1e18 } });
    const { shards } = harness.byName('a');
    const [shard, { model, quantization, layers }] = [...shards][0]!;
    const capability = { ...harness.mesh.registry.get(liar.id)!.capability! };
    const held = [{ shard, model, quantization, layers, gpuBytes: 1, receipt: 'made up' }];
    liar.send({ type: 'join', capability, held, links: [harness.byName('a').id] });
    await harness.heard(liar);
    expect((await answer()).served).toEqual([['a']]);
    expect(liar.messages('open').filter(({ promptTokens }) => promptTokens === PROMPT.length)).toEqual([]);
    expect(harness.live).toEqual(['a']);
  });

  it('that replays what it said under older epochs, of its own sequence and of others’, changes no text', async () => {
    await start({ maxStages: 2, expectWorkers: 3 });
    for (const name of ['a', 'b', 'c']) await harness.join(name);
    await harness.untilLive(2);
    const replays = (worker: FakeWorker) => {
      worker.misbehaviour.onToken = (_worker, token, send) => {
        const wrong = (token.token + 1) % FAKE_VOCAB;
        for (const epoch of [0, token.epoch - 1, token.epoch + 1]) {
          if (epoch < 0 || epoch === token.epoch) continue;
          worker.send({ ...token, epoch, token: wrong });
        }
        // A sequence of somebody else, as far as it can guess its number; and one position too early.
        for (const sequence of [token.sequence + 1, token.sequence + 2])
          worker.send({ ...token, sequence, token: wrong });
        if (token.position > PROMPT.length)
          worker.send({ ...token, position: token.position - 1, token: wrong });
        send();
      };
    };
    for (const worker of harness.workers) replays(worker);
    const answers = await Promise.all([answer(), answer(), answer()]);
    for (const { ids } of answers) expect(ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('that ends others’ sequences, or tells tokens in the last stage’s place, is not heard', async () => {
    await start({ maxStages: 2 });
    const [a, b] = await harness.joinAll(['a', 'b'], 2);
    const c = await harness.join('c');
    await harness.heard(c);
    const [last, others] = [harness.byName(harness.live.at(-1)!), [a!, b!, c]];
    last.misbehaviour.onToken = (_worker, token, send) => {
      for (const other of others.filter((worker) => worker !== last)) {
        other.send({ ...token, token: (token.token + 1) % FAKE_VOCAB });
      }
      const { sequence, epoch } = token;
      c.send({ type: 'sequence-failed', sequence, epoch, error: { code: 'INTERNAL', message: 'made up' } });
      c.send({ type: 'opened', sequence, epoch, position: 0, keptFrom: 0 });
      setTimeout(send, 2);
    };
    const answered = await answer();
    expect(answered.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answered.restarts).toEqual([0]);
  });

  it('that floods is cut off and out of work for a while, and no answer ends of it', async () => {
    await start({ maxStages: 2 });
    const [, b] = await harness.joinAll(['a', 'b'], 2);
    const c = await harness.join('c');
    await harness.heard(c);
    const flooder = harness.byName(harness.live[0]!);
    let hasFlooded = false;
    harness.byName(harness.live.at(-1)!).misbehaviour.onToken = (_worker, { position }, send) => {
      if (position === PROMPT.length + 5 && !hasFlooded) {
        hasFlooded = true;
        for (let i = 0; i < CONTROL_BURST + MAX_PROTOCOL_OFFENCES + 10; i++) flooder.send({ type: 'alive' });
      }
      send();
    };
    expect((await answer({ maxTokens: 40 })).ids).toEqual(expectedIds(PROMPT, 40));
    await until(() => flooder.closeCode !== null, 'its connection is closed');
    expect(flooder.closeCode).toBe(1013);
    expect(isOut(flooder)).toBe(true);
    expect(isOut(b!)).toBe(false);
    await until(() => harness.live.length > 0 && !harness.live.includes(flooder.name), 'others serve');
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });
});
