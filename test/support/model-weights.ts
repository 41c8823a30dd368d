import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openModelDirectory } from '../../src/model/directory.ts';
import type { LoadedTensor } from '../../src/model/manifest.ts';
import type { Shard } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

export interface TestModel {
  readonly spec: ModelSpec;
  readonly tensors: (shard: Shard) => AsyncIterable<LoadedTensor>;
}

/** A model directory's spec and the tensors of a shard, straight from disk. */
export async function diskModel(path: string): Promise<TestModel> {
  const directory = await openModelDirectory(path);
  return {
    spec: directory.spec,
    async *tensors(shard) {
      const manifest = await directory.manifest(shard);
      for (const [name, entry] of Object.entries(manifest.tensors)) {
        const file = await open(directory.filePath(entry.file));
        try {
          const bytes = new Uint8Array(entry.end - entry.start);
          await file.read(bytes, 0, bytes.length, entry.start);
          yield { name, dtype: entry.dtype, shape: entry.shape, bytes };
        } finally {
          await file.close();
        }
      }
    },
  };
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
