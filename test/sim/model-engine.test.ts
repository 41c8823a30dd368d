import { describe, expect, it } from 'vitest';
import type { ShoalError } from '../../src/config/errors.ts';
import type { StageEngine, WireDtype } from '../../src/gpu/stage-engine.ts';
import { GREEDY, type SamplingParams } from '../../src/model/sampling.ts';
import { VirtualClock } from '../../src/sim/clock.ts';
import { type Asked, type SimModel, simModel, undisturbed } from '../../src/sim/model.ts';
import { ModelDevice } from '../../src/sim/model-device.ts';
import { ModelEngine } from '../../src/sim/model-engine.ts';

const RATE = { macsPerSecond: 1e9, launchMs: 2, rowShare: 0.05 };
const MODEL = simModel({ layers: 6, contextLength: 128 });
const PROMPT = [5, 6, 7, 5, 9, 11, 2];

function engines(
  clock: VirtualClock,
  cuts: readonly number[],
  model: SimModel = MODEL,
  bits = 0,
): ModelEngine[] {
  return cuts.slice(1).map((end, index) => {
    const start = cuts[index]!;
    const shard = { start, end, embedding: start === 0, head: end === model.spec.layers };
    return new ModelEngine({ model, shard, rate: RATE, kvPages: 16, timers: clock, bits });
  });
}

interface Run {
  readonly asked?: Partial<Asked>;
  readonly wire?: WireDtype;
  /** Rows of a prefill chunk. */
  readonly chunk?: number;
  readonly tamper?: (hidden: Uint8Array, position: number) => Uint8Array;
}

/** A generation over `stages`, chunk after chunk. */
async function compute(stages: readonly StageEngine[], run: Run): Promise<number[]> {
  const { chunk = 4, wire = 'f16', tamper = (hidden) => hidden } = run;
  const { prompt = PROMPT, maxTokens = 12, sampling = GREEDY } = run.asked ?? {};
  const ids = [...prompt];
  for (const stage of stages) stage.openSequence(1, { maxPositions: ids.length + maxTokens, sampling });
  stages.at(-1)!.note(1, 0, Uint32Array.from(prompt), true);
  let position = 0;
  while (ids.length < prompt.length + maxTokens) {
    const tokens = Uint32Array.from(ids.slice(position, position + chunk));
    const sample = position + tokens.length === ids.length;
    const entries = [{ sequence: 1, position, count: tokens.length, sample }];
    let hidden: Uint8Array | undefined;
    for (const stage of stages) {
      const output = await stage.step({ entries, wire, ...(hidden === undefined ? { tokens } : { hidden }) });
      hidden = output.hidden && tamper(output.hidden, position);
      if (output.sampled !== undefined) ids.push(...output.sampled);
    }
    position += tokens.length;
  }
  for (const stage of stages) stage.closeSequence(1);
  return ids.slice(prompt.length);
}

async function generate(cuts: readonly number[], run: Run = {}, model = MODEL, bits = 0): Promise<number[]> {
  const clock = new VirtualClock();
  return clock.until(compute(engines(clock, cuts, model, bits), run), 1e6);
}

const asked = (over: Partial<Asked> = {}): Asked => ({
  prompt: PROMPT,
  maxTokens: 12,
  eosTokenIds: [],
  sampling: GREEDY,
  ...over,
});

const PENALIZED: SamplingParams = { ...GREEDY, temperature: 0.8, seed: 77, frequencyPenalty: 0.5 };

describe('ModelEngine', () => {
  it('gives the same tokens however the layers and the prompt are cut', async () => {
    for (const sampling of [GREEDY, PENALIZED]) {
      const solo = undisturbed(MODEL, asked({ sampling }));
      expect(new Set(solo).size).toBeGreaterThan(8);
      for (const cuts of [
        [0, 6],
        [0, 1, 6],
        [0, 2, 3, 5, 6],
        [0, 1, 2, 3, 4, 5, 6],
      ]) {
        for (const chunk of [1, 3, 64])
          expect(await generate(cuts, { chunk, asked: { sampling } })).toEqual(solo);
      }
    }
  });

  it('gives others for another seed, wire format, class, prompt or penalty', async () => {
    const plain = await generate([0, 3, 6], { asked: { sampling: PENALIZED } });
    const others = [
      await generate([0, 3, 6], { asked: { sampling: { ...PENALIZED, seed: 78 } } }),
      await generate([0, 3, 6], { asked: { sampling: { ...PENALIZED, frequencyPenalty: 0 } } }),
      await generate([0, 3, 6], { asked: { sampling: PENALIZED }, wire: 'f32' }),
      await generate([0, 3, 6], { asked: { sampling: PENALIZED } }, MODEL, 1),
      await generate([0, 3, 6], { asked: { sampling: PENALIZED, prompt: [6, ...PROMPT.slice(1)] } }),
    ];
    for (const other of others) expect(other[0]).not.toBe(plain[0]);
  });

  it('gives others when a row is stale, misplaced or of another sequence, and refuses a torn one', async () => {
    const solo = undisturbed(MODEL, asked());
    let before: Uint8Array | null = null;
    const stale = (hidden: Uint8Array, position: number) => {
      const given = position === 8 && before !== null ? before : hidden;
      before = hidden;
      return given;
    };
    const wrong = await generate([0, 3, 6], { tamper: stale, chunk: 64 });
    expect(wrong.slice(0, 2)).toEqual(solo.slice(0, 2));
    expect(wrong[2]).not.toBe(solo[2]);
    const torn = (hidden: Uint8Array) => hidden.map((byte, index) => (index === 5 ? byte ^ 1 : byte));
    await expect(generate([0, 3, 6], { tamper: torn })).rejects.toThrow('torn');
  });

  it('goes on exactly after it was trimmed and fed again, and not after it was trimmed too little', async () => {
    const clock = new VirtualClock();
    const [engine] = engines(clock, [0, 6]);
    const step = async (position: number, ids: readonly number[]) => {
      const entries = [{ sequence: 1, position, count: ids.length, sample: true }];
      const output = engine!.step({ entries, wire: 'f16', tokens: Uint32Array.from(ids) });
      return (await clock.until(output, 1e6)).sampled![0]!;
    };
    engine!.openSequence(1, { maxPositions: 64, sampling: PENALIZED });
    engine!.note(1, 0, Uint32Array.from(PROMPT), true);
    const solo = undisturbed(MODEL, asked({ sampling: PENALIZED }));
    expect(await step(0, PROMPT)).toBe(solo[0]);
    expect(await step(7, solo.slice(0, 1))).toBe(solo[1]);
    expect(await step(8, solo.slice(1, 2))).toBe(solo[2]);
    engine!.truncate(1, 3);
    // What was trimmed is told again, the prompt too.
    engine!.note(1, 0, Uint32Array.from(PROMPT), true);
    engine!.note(1, 7, Uint32Array.from(solo.slice(0, 2)), false);
    expect(await step(3, [...PROMPT.slice(3), ...solo.slice(0, 2)])).toBe(solo[2]);
    engine!.truncate(1, 8);
    expect(await step(8, [1])).not.toBe(solo[2]);
    await expect(step(5, [1])).rejects.toMatchObject({ code: 'POSITION_GAP' });
    expect(() => engine!.truncate(1, 60)).toThrow('60 > 9');
  });

  it('leaves the range of f16 at the same row in every cut, and the text goes on in f32', async () => {
    const model = simModel({ layers: 6, contextLength: 128, f16RangeOneIn: 40 });
    const failed = await generate([0, 3, 6], {}, model).catch((error: ShoalError) => error);
    expect(failed).toMatchObject({ code: 'F16_RANGE' });
    const text = undisturbed(model, asked());
    expect(text).toHaveLength(12);
    expect(text).not.toEqual(undisturbed(MODEL, asked()));
    expect(await generate([0, 3, 6], { wire: 'f32' }, model)).toEqual(undisturbed(model, asked(), 'f32'));
  });

  it('has pages and places, and gives them back', () => {
    const [engine] = engines(new VirtualClock(), [0, 6]);
    const options = { maxPositions: 128, sampling: GREEDY };
    for (let sequence = 1; sequence <= 4; sequence++) engine!.openSequence(sequence, options);
    expect(engine!.freePages).toBe(0);
    expect(() => engine!.openSequence(5, options)).toThrow('4 pages');
    expect(() => engine!.openSequence(1, options)).toThrow('open already');
    engine!.closeSequence(2);
    engine!.closeSequence(2);
    expect(() => engine!.openSequence(5, { maxPositions: 129, sampling: GREEDY })).toThrow('129');
    for (let sequence = 5; sequence <= 8; sequence++)
      engine!.openSequence(sequence, { maxPositions: 1, sampling: GREEDY });
    expect(engine!.freePages).toBe(0);
    for (let sequence = 1; sequence <= 8; sequence++) engine!.closeSequence(sequence);
    expect([engine!.freePages, engine!.openSequences]).toEqual([16, 0]);
    expect(() => engine!.length(1)).toThrow('not open');
  });

  it('takes the time of its layers, and less than twice for two rows', async () => {
    const clock = new VirtualClock();
    const [half, , whole] = [...engines(clock, [0, 3, 6]), ...engines(clock, [0, 6])];
    const time = async (engine: ModelEngine, count: number) => {
      const startedMs = clock.now();
      engine.openSequence(1, { maxPositions: 64, sampling: GREEDY });
      const entries = [{ sequence: 1, position: 0, count, sample: true }];
      await clock.until(engine.step({ entries, wire: 'f16', tokens: new Uint32Array(count) }), 1e6);
      engine.closeSequence(1);
      return clock.now() - startedMs;
    };
    // 3 layers of 15 M at 1 G a second, and 2 ms.
    expect(await time(half!, 1)).toBeCloseTo(47);
    expect(await time(half!, 11)).toBeCloseTo(2 + 45 * 1.5);
    expect(await time(whole!, 1)).toBeCloseTo(2 + 90 + 60);
  });

  it('gives no result once it is destroyed, and throws what it is told to', async () => {
    const clock = new VirtualClock();
    const [engine] = engines(clock, [0, 6]);
    engine!.openSequence(1, { maxPositions: 64, sampling: GREEDY });
    const step = engine!.step({
      entries: [{ sequence: 1, position: 0, count: 1, sample: true }],
      wire: 'f16',
      tokens: new Uint32Array(1),
    });
    clock.after(1, () => engine!.destroy());
    await expect(clock.until(step, 1e6)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  });
});

describe('ModelDevice', () => {
  const shard = { start: 2, end: 6, embedding: false, head: true };
  const request = (budgetBytes = 1e9) => ({
    manifestUrl: '',
    filesUrl: '',
    shard,
    quantization: 'native' as const,
    budgetBytes,
    onProgress: () => {},
  });

  function device(clock: VirtualClock, cache = new Set<string>()) {
    return new ModelDevice({
      model: MODEL,
      rate: RATE,
      timers: clock,
      downloadBytesPerMs: 1_000,
      uploadBytesPerMs: 1e6,
      cache,
    });
  }

  it('downloads what its browser does not have yet, and no more', async () => {
    const clock = new VirtualClock();
    const cache = new Set(['layer 2', 'layer 9']);
    const first = device(clock, cache);
    const { engine, downloadedBytes } = await clock.until(
      first.load(request(), new AbortController().signal),
      1e9,
    );
    expect(downloadedBytes).toBe(3 * 30e6 + 60e6);
    expect(clock.now()).toBeCloseTo(150_000 + 180);
    expect(engine.bytes.weights).toBe(180e6);
    const again = await clock.until(device(clock, cache).load(request(), new AbortController().signal), 1e9);
    expect(again.downloadedBytes).toBe(0);
    expect(clock.now()).toBeLessThan(151_000);
  });

  it('refuses what does not fit, and stops when told to', async () => {
    const clock = new VirtualClock();
    const tooLarge = device(clock).load(request(181e6), new AbortController().signal);
    await expect(clock.until(tooLarge, 1e9)).rejects.toMatchObject({ code: 'SHARD_TOO_LARGE' });
    const abort = new AbortController();
    const stopped = device(clock).load(request(), abort.signal);
    clock.after(500, () => abort.abort());
    await expect(clock.until(stopped, 1e9)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(clock.pending).toBe(0);
  });

  it('is lost with its engines', async () => {
    const clock = new VirtualClock();
    const lost = device(clock);
    await clock.until(lost.load(request(), new AbortController().signal), 1e9);
    lost.lose('unplugged');
    expect((await lost.lost).code).toBe('DEVICE_LOST');
    expect(lost.engines[0]!.isDestroyed).toBe(true);
  });
});
