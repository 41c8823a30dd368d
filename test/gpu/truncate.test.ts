import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { StageEngine, WireDtype } from '../../src/gpu/stage-engine.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { GREEDY, type SamplingParams, type TokenLogprobs } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

/** Invariant 4: what is cut off and computed again is what it was, to the bit: hidden states, tokens, log probabilities. */

const PROMPT = Array.from({ length: 37 }, (_, i) => (i * 29 + 7) % ODD_SPEC.vocab);
const TOKENS = 40;
const SAMPLED = { ...GREEDY, temperature: 0.9, topP: 0.95, seed: 99 };
const PENALTIES = { ...SAMPLED, repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.4 };
/** Nothing, within the prompt, at and beside a page's edge, within the answer, at its end. */
const CUTS = [0, 1, 31, 32, 33, 36, 37, 38, 50, 64, 75];

let device: GpuDevice;
let engine: StageEngine;
let sequence = 0;
beforeAll(async () => {
  device = await openDevice();
  engine = await createStageEngine({
    device,
    shaders: await testShaders(),
    spec: ODD_SPEC,
    shard: wholeModel(ODD_SPEC),
    weights: seededTensors(ODD_SPEC, wholeModel(ODD_SPEC)),
    quantization: 'native',
    kvBudgetBytes: 4e6,
  });
});
afterAll(() => device.destroy());

interface Text {
  /** Prompt, then what was picked. */
  readonly ids: number[];
  /** Beside each picked one. */
  readonly logprobs: (TokenLogprobs | undefined)[];
}

function open(sampling: SamplingParams): number {
  engine.openSequence(++sequence, { maxPositions: PROMPT.length + TOKENS, sampling, topLogprobs: 3 });
  engine.note(sequence, 0, Uint32Array.from(PROMPT), true);
  return sequence;
}

/** Computes what is known in chunks of `rows`, picks after the last row, and goes on until `until` ids are there. */
async function goOn(
  on: number,
  { ids, logprobs }: Text,
  until: number,
  wire: WireDtype,
  rows = 64,
): Promise<Text> {
  const text: Text = { ids: [...ids], logprobs: [...logprobs] };
  while (text.ids.length < until) {
    const position = engine.length(on);
    const count = Math.min(rows, text.ids.length - position);
    const sample = position + count === text.ids.length;
    const output = await engine.step({
      entries: [{ sequence: on, position, count, sample }],
      wire,
      tokens: Uint32Array.from(text.ids.slice(position, position + count)),
    });
    if (!sample) continue;
    text.ids.push(output.sampled![0]!);
    text.logprobs.push(output.logprobs![0]);
  }
  return text;
}

/** The first `known` ids, with the log probabilities of those that were picked. */
function upTo({ ids, logprobs }: Text, known: number): Text {
  return { ids: ids.slice(0, known), logprobs: logprobs.slice(0, Math.max(0, known - PROMPT.length)) };
}

const start: Text = { ids: PROMPT, logprobs: [] };
const END = PROMPT.length + TOKENS;

describe.each([
  ['greedy', GREEDY, 'f16'],
  ['seeded', SAMPLED, 'f16'],
  ['penalties', PENALTIES, 'f16'],
  ['penalties', PENALTIES, 'f32'],
] as const)('%s', (_name, sampling, wire) => {
  it(`after a truncation to any length the text goes on as it did, wire ${wire}`, async () => {
    const one = open(sampling);
    const whole = await goOn(one, start, END, wire);
    expect(new Set(whole.ids.slice(PROMPT.length)).size).toBeGreaterThan(3);
    for (const [i, cut] of CUTS.entries()) {
      // The ids are known up to somewhere behind the cut: to the row that is cut off, or further.
      const known = Math.max(PROMPT.length, Math.min(END - 1, cut + 1 + (i % 3) * 7));
      engine.truncate(one, cut);
      expect(engine.length(one)).toBe(cut);
      expect(await goOn(one, upTo(whole, known), END, wire, [64, 1, 5][i % 3])).toEqual(whole);
    }
    engine.closeSequence(one);
  });

  it(`and so it does on a stage that was told the ids, in parts and twice, wire ${wire}`, async () => {
    const whole = await goOn(open(sampling), start, END, wire);
    engine.closeSequence(sequence);
    const other = open(sampling);
    const known = 60;
    const told = Uint32Array.from(whole.ids.slice(PROMPT.length, known));
    engine.note(other, PROMPT.length, told.subarray(0, 9), false);
    engine.note(other, PROMPT.length, told, false);
    // What comes with the first rows of a route: it must not forget what was told before it.
    engine.truncate(other, 0);
    expect(await goOn(other, upTo(whole, known), END, wire)).toEqual(whole);
    engine.closeSequence(other);
  });
});

it('a step that was on its way when its sequence was cut changes nothing of what comes after', async () => {
  const one = open(PENALTIES);
  const whole = await goOn(one, start, END, 'f16');
  engine.truncate(one, 50);
  const late = engine.step({
    entries: [{ sequence: one, position: 50, count: 20, sample: true }],
    wire: 'f16',
    tokens: Uint32Array.from(whole.ids.slice(50, 70)),
  });
  // A turn, so that it is submitted.
  await Promise.resolve();
  engine.truncate(one, 33);
  expect(await goOn(one, upTo(whole, 40), END, 'f16')).toEqual(whole);
  expect((await late).sampled![0]).toBe(whole.ids[70]);
  engine.closeSequence(one);
});

it('a step that was on its way when its sequence was closed leaves nothing in the next of that number', async () => {
  const whole = await goOn(open(PENALTIES), start, END, 'f16');
  engine.closeSequence(sequence);
  const prompt = Uint32Array.from(whole.ids.slice(0, 40));
  const answer = async (on: number, late?: Promise<unknown>) => {
    engine.openSequence(on, { maxPositions: END, sampling: PENALTIES });
    engine.note(on, 0, prompt, true);
    await late;
    return goOn(on, { ids: [...prompt], logprobs: [] }, END, 'f16');
  };
  const alone = await answer(++sequence);
  engine.closeSequence(sequence);

  const one = open(PENALTIES);
  await goOn(one, start, 38, 'f16');
  const late = engine.step({
    entries: [{ sequence: one, position: 37, count: 1, sample: true }],
    wire: 'f16',
    // Another id than the text's, so that another follows than what the next sequence is told to stand there.
    tokens: Uint32Array.of((whole.ids[37]! + 1) % ODD_SPEC.vocab),
  });
  await Promise.resolve();
  engine.closeSequence(one);
  expect(await answer(one, late)).toEqual(alone);
  expect((await late).sampled![0]).not.toBe(whole.ids[38]);
  engine.closeSequence(one);
});
