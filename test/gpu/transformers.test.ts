import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { StageEngine } from '../../src/gpu/stage-engine.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { diskModel, fixture } from '../support/model-weights.ts';

/** What tools/reference and tools/minnow record of the transformers library. */
interface Reference {
  readonly logits: {
    readonly file: string;
    readonly prompts: readonly {
      readonly ids: number[];
      readonly shape: number[];
      readonly offset: number;
    }[];
  };
  readonly greedy: readonly { readonly prompt_ids: number[]; readonly new_ids: number[] }[];
}

const MINNOW = fileURLToPath(new URL('../../models/minnow', import.meta.url));
/** Name of the fixture, directory of the model. */
const MODELS: readonly (readonly [string, string])[] = [
  ...['odd-llama', 'odd-llama-bias', 'odd-llama-rope3', 'odd-llama-stories'].map(
    (name) => [name, fixture(name)] as const,
  ),
  ['minnow', MINNOW],
];

describe.each(MODELS)('%s against transformers', (name, directory) => {
  let device: GpuDevice;
  let engine: StageEngine;
  let reference: Reference;

  beforeAll(async () => {
    expect(existsSync(directory), `${directory} is missing`).toBe(true);
    reference = JSON.parse(await readFile(`${fixture(name)}/reference.json`, 'utf8'));
    device = await openDevice();
    const { spec, tensors } = await diskModel(directory);
    const shard = wholeModel(spec);
    engine = await createStageEngine({
      device,
      shaders: await testShaders(),
      spec,
      shard,
      weights: tensors(shard),
      quantization: 'native',
      kvBudgetBytes: 64e6,
    });
  });
  afterAll(() => {
    engine?.destroy();
    expect(device.liveBuffers).toBe(0);
    device.destroy();
  });

  it('gives its logits on every position within 1e-3', async () => {
    const { logits } = reference;
    const { vocab } = engine.spec;
    const file = await readFile(`${fixture(name)}/${logits.file}`);
    expect(logits.prompts.length).toBeGreaterThan(0);
    for (const [sequence, prompt] of logits.prompts.entries()) {
      const count = prompt.ids.length;
      const bytes = file.subarray(prompt.offset, prompt.offset + count * vocab * 4);
      const expected = new Float32Array(Uint8Array.from(bytes).buffer);
      engine.openSequence(sequence, { maxPositions: count, sampling: GREEDY });
      const actual = await engine.logits({
        entries: [{ sequence, position: 0, count, sample: false }],
        wire: 'f32',
        tokens: Uint32Array.from(prompt.ids),
      });
      expect(actual.length).toBe(expected.length);
      for (let row = 0; row < count; row++) {
        let difference = 0;
        let norm = 0;
        for (let i = row * vocab; i < (row + 1) * vocab; i++) {
          difference += (actual[i]! - expected[i]!) ** 2;
          norm += expected[i]! ** 2;
        }
        expect(Math.sqrt(difference / norm)).toBeLessThan(1e-3);
      }
      engine.closeSequence(sequence);
    }
  });

  it('gives its greedy ids, all prompts in one micro-batch a step', async () => {
    // Four rows cost what one thread of the row kernel takes anyway; more would double the time.
    const greedy = reference.greedy.slice(0, 4);
    const ids = greedy.map(({ prompt_ids: prompt }) => [...prompt]);
    const lengths = greedy.map(({ prompt_ids: prompt, new_ids: made }) => prompt.length + made.length);
    for (const [sequence, maxPositions] of lengths.entries()) {
      engine.openSequence(sequence, { maxPositions, sampling: GREEDY });
      const prompt = ids[sequence]!;
      for (let position = 0; position < prompt.length; position += 64) {
        const tokens = Uint32Array.from(prompt.slice(position, position + 64));
        const last = position + tokens.length === prompt.length;
        const entries = [{ sequence, position, count: tokens.length, sample: last }];
        const { sampled } = await engine.step({ entries, wire: 'f32', tokens });
        if (last) prompt.push(sampled![0]!);
      }
    }
    for (;;) {
      const going = ids.flatMap((all, sequence) => (all.length < lengths[sequence]! ? [sequence] : []));
      if (going.length === 0) break;
      const { sampled } = await engine.step({
        entries: going.map((sequence) => ({
          sequence,
          position: ids[sequence]!.length - 1,
          count: 1,
          sample: true,
        })),
        wire: 'f32',
        tokens: Uint32Array.from(going, (sequence) => ids[sequence]!.at(-1)!),
      });
      for (const [i, sequence] of going.entries()) ids[sequence]!.push(sampled![i]!);
    }
    const expected = greedy.map(({ prompt_ids: prompt, new_ids: made }) => [...prompt, ...made]);
    expect(ids).toEqual(expected);
    for (const sequence of lengths.keys()) engine.closeSequence(sequence);
  }, 180_000);
});
