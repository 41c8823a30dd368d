import { describe, expect, it } from 'vitest';
import { MAX_LAYERS, MAX_MODEL_ID_CHARS } from '../../../src/config/limits.ts';
import { serverMessageSchema } from '../../../src/mesh/protocol/control.ts';
import { manifestPath, modelPath } from '../../../src/server/files/model-paths.ts';

describe('the paths of a model', () => {
  it.each([
    ['Latin letters', 'n'],
    ['spaces', ' '],
    ['signs that take nine characters escaped', '魚'],
    ['signs of two code units', '🐟'],
  ])('fit a hold with the longest id of %s', (_, sign) => {
    const model = sign.repeat(MAX_MODEL_ID_CHARS / sign.length);
    expect(model).toHaveLength(MAX_MODEL_ID_CHARS);
    const shard = { start: MAX_LAYERS - 1, end: MAX_LAYERS, embedding: true, head: true };
    const hold = {
      type: 'hold',
      shard: 1,
      model,
      manifestPath: manifestPath(model, shard),
      filesPath: modelPath(model),
      quantization: 'native',
      layers: shard,
    };
    expect(serverMessageSchema.safeParse(hold).error).toBeUndefined();
  });
});
