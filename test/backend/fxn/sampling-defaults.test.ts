import { expect, it } from 'vitest';
import { samplingDefaults } from '../../../src/backend/fxn/sampling-defaults.ts';

it.each([
  [
    { do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.95, min_p: 0.1, repetition_penalty: 1.05 },
    { temperature: 0.6, topK: 20, topP: 0.95, minP: 0.1, repetitionPenalty: 1.05 },
  ],
  [{ do_sample: false, temperature: 0.6 }, { temperature: 0 }],
  [{ do_sample: false }, { temperature: 0 }],
  [{ temperature: 0.6, eos_token_id: [1, 2], transformers_version: '5' }, { temperature: 0.6 }],
  [{ temperature: 'hot', top_p: 7, top_k: 5, do_sample: null }, { topK: 5 }],
  [{}, {}],
  [undefined, {}],
  ['text', {}],
])('%j gives %j', (config, defaults) => {
  expect(samplingDefaults(config)).toEqual(defaults);
});
