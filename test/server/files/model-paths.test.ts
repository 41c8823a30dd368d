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
  ])('fit an assignment with the longest id of %s', (_, sign) => {
    const model = sign.repeat(MAX_MODEL_ID_CHARS / sign.length);
    expect(model).toHaveLength(MAX_MODEL_ID_CHARS);
    const shard = { start: MAX_LAYERS - 1, end: MAX_LAYERS, embedding: true, head: true };
    const assign = {
      type: 'assign',
      epoch: 1,
      model,
      manifestPath: manifestPath(model, shard),
      filesPath: modelPath(model),
      quantization: 'native',
      index: 0,
      stages: [{ peer: 'peer-1', name: 'tab 1', shard }],
    };
    expect(serverMessageSchema.safeParse(assign).error).toBeUndefined();
  });
});
