import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { diskModel, fixture } from '../support/model-weights.ts';

/** What tools/reference/odd_llama.py records of the transformers library. */
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

const MODELS = ['odd-llama', 'odd-llama-bias', 'odd-llama-rope3', 'odd-llama-stories'];

describe.each(MODELS)('%s against transformers', (name) => {
  let device: GpuDevice;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => device.destroy());

  const engineOf = async () => {
    const { spec, tensors } = await diskModel(fixture(name));
    const shard = wholeModel(spec);
    return createStageEngine({
      device,
      shaders: await testShaders(),
      spec,
      shard,
      weights: tensors(shard),
      quantization: 'native',
      kvBudgetBytes: 8e6,
    });
  };
  const reference = async (): Promise<Reference> =>
    JSON.parse(await readFile(`${fixture(name)}/reference.json`, 'utf8'));

  it('gives its logits on every position within 1e-3', async () => {
    const engine = await engineOf();
    const { logits } = await reference();
    const file = await readFile(`${fixture(name)}/${logits.file}`);
    for (const [sequence, prompt] of logits.prompts.entries()) {
      const count = prompt.ids.length;
      const size = prompt.shape.reduce((product, n) => product * n, 1);
      const bytes = file.subarray(prompt.offset, prompt.offset + size * 4);
      const expected = new Float32Array(Uint8Array.from(bytes).buffer);
      engine.openSequence(sequence, { maxPositions: count, sampling: GREEDY });
      const actual = await engine.logits({
        entries: [{ sequence, position: 0, count, sample: false }],
        wire: 'f32',
        tokens: Uint32Array.from(prompt.ids),
      });
      expect(actual.length).toBe(expected.length);
      const vocab = engine.spec.vocab;
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
    engine.destroy();
    expect(device.liveBuffers).toBe(0);
  });

  it('gives its greedy ids', async () => {
    const engine = await engineOf();
    const { greedy } = await reference();
    for (const [sequence, { prompt_ids: prompt, new_ids: expected }] of greedy.entries()) {
      engine.openSequence(sequence, {
        maxPositions: prompt.length + expected.length,
        sampling: GREEDY,
      });
      const actual: number[] = [];
      let tokens = Uint32Array.from(prompt);
      let position = 0;
      while (actual.length < expected.length) {
        const { sampled } = await engine.step({
          entries: [{ sequence, position, count: tokens.length, sample: true }],
          wire: 'f32',
          tokens,
        });
        position += tokens.length;
        tokens = Uint32Array.of(sampled![0]!);
        actual.push(sampled![0]!);
      }
      expect(actual).toEqual(expected);
      engine.closeSequence(sequence);
    }
    engine.destroy();
  });
});
