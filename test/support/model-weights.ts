import { fileURLToPath } from 'node:url';
import { openModelDirectory } from '../../src/model/directory.ts';
import { readTensors } from '../../src/model/directory-tensors.ts';
import type { LoadedTensor } from '../../src/model/fetch/manifest.ts';
import type { Shard } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

export interface TestModel {
  readonly spec: ModelSpec;
  readonly tensors: (shard: Shard) => AsyncIterable<LoadedTensor>;
}

/** A model directory's spec and the tensors of a shard, straight from disk. */
export async function diskModel(path: string): Promise<TestModel> {
  const directory = await openModelDirectory(path);
  return { spec: directory.spec, tensors: (shard) => readTensors(directory, shard) };
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
