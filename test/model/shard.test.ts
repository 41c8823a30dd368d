import { expect, it } from 'vitest';
import { layersText, shardSchema } from '../../src/model/shard.ts';

it('counts layers as people do, from the first to the last', () => {
  expect(layersText(0, 3)).toBe('layers 0–2');
  expect(layersText(7, 8)).toBe('layer 7');
});

it('refuses a shard without a layer', () => {
  const result = shardSchema.safeParse({ start: 3, end: 3, embedding: false, head: false });
  expect(result.error?.issues[0]?.message).toBe('a shard holds at least one layer');
});
