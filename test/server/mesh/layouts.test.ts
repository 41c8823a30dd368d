import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../socket-timers.ts';
import { expectedIds } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** Who gets which layers where nobody asked for a split. The model of the harness takes 8,600 B on one worker. */

let harness: Harness;
const start = async (options: Parameters<typeof Harness.start>[0] = {}) => {
  harness = await Harness.start({ minStages: 1, replicas: 2, ...options });
};
const layersOf = () =>
  Object.fromEntries(
    (harness.mesh.rows().layers! ?? [])
      .filter(({ state }) => state === 'held')
      .map(({ name, layers }) => [name, layers]),
  );
const answer = () => collect(harness.mesh.coordinator.generate(request(), never()));

afterEach(() => harness.stop());

describe('without a wish for a split', () => {
  it('one worker serves alone, and the next one holds the whole model too', async () => {
    await start();
    await harness.joinAll(['a'], 1);
    await harness.join('b');
    await until(() => Object.keys(layersOf()).length === 2);
    expect(layersOf()).toEqual({ a: [0, 8], b: [0, 8] });
    expect(harness.live).toEqual(['a']);
    expect(harness.byName('a').messages('hold')).toHaveLength(1);
    // Who is not needed is told so.
    await harness.join('c');
    await until(
      () => harness.mesh.rows().workers.find(({ name }) => name === 'c')?.spare?.why === 'replicated',
    );
  });

  it('requests at once go to both, and one that loses its worker goes on with the other, which loads nothing', async () => {
    await start();
    await harness.joinAll(['a'], 1);
    await harness.join('b');
    await until(() => Object.keys(layersOf()).length === 2);
    const held: (() => void)[] = [];
    for (const name of ['a', 'b']) {
      harness.byName(name).misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    }
    const answers = [answer(), answer()];
    await until(() => held.length === 2);
    expect(['a', 'b'].map((name) => harness.byName(name).sequences.size)).toEqual([1, 1]);
    harness.byName('b').misbehaviour = {};
    harness.byName('a').kill();
    for (const send of held) send();
    for (const one of await Promise.all(answers)) expect(one.ids).toEqual(expectedIds(PROMPT, 20));
    expect(harness.byName('b').messages('hold')).toHaveLength(1);
  });

  it('those who hold it only together share it, and a worker that holds all takes over', async () => {
    await start({ expectWorkers: 2, replicas: 1 });
    for (const name of ['a', 'b']) await harness.join(name, { capability: { memoryBudgetBytes: 5_600 } });
    await harness.untilLive(2);
    await harness.join('whole', { capability: { gemvMacsPerSecond: 1e6 } });
    await harness.heard(harness.byName('whole'));
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('who holds more than a stage needs computes a part of it', async () => {
    await start({ expectWorkers: 2, replicas: 1 });
    await harness.join('large', { capability: { memoryBudgetBytes: 7_700, gemvMacsPerSecond: 1e6 } });
    await harness.join('fast', { capability: { memoryBudgetBytes: 5_600, gemvMacsPerSecond: 1e9 } });
    await harness.untilLive(2);
    const stops = harness.mesh.routes.live!.stops.map(({ peer, start: from, end }) => [peer.name, from, end]);
    const [first, second] = stops as [[string, number, number], [string, number, number]];
    expect(first[2]).toBe(second[1]);
    // The fast one computes all that it holds.
    const [from, to] = layersOf().fast!;
    expect(stops).toContainEqual(['fast', from, to]);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('solo: who does not hold the whole model holds nothing', async () => {
    await start({ solo: true });
    await harness.join('small', { capability: { memoryBudgetBytes: 6_000 } });
    await harness.joinAll(['a'], 1);
    await until(
      () => harness.mesh.rows().workers.find(({ name }) => name === 'small')?.spare?.why === 'small-memory',
    );
    expect(layersOf()).toEqual({ a: [0, 8] });
  });

  it('says what it expects before the first token, and what came after', async () => {
    await start();
    expect(harness.mesh.forecast()).toEqual({ predicted: null, measured: null });
    await harness.joinAll(['a'], 1);
    const { predicted, measured } = harness.mesh.forecast();
    // 8,500 multiply-accumulates at 10⁹ a second.
    expect(predicted!.tokensPerSecond).toBeCloseTo(1e9 / 8_500, 0);
    expect(measured).toBeNull();
    harness.byName('a').misbehaviour = {
      onToken: (_worker, _token, send) => {
        harness.timers.advance(50);
        send();
      },
    };
    await answer();
    const after = harness.mesh.forecast();
    expect(after.measured!.tokensPerSecond).toBeGreaterThan(0);
    // It has learnt, within its bound.
    expect(after.predicted!.tokensPerSecond).toBeLessThan(predicted!.tokensPerSecond);
  });
});
