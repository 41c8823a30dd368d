/** A shard's weights straight from a disk. Node only. */
import { open } from 'node:fs/promises';
import { ShoalError } from '../config/errors.ts';
import type { ModelDirectory } from './directory.ts';
import type { LoadedTensor } from './fetch/manifest.ts';
import type { Shard } from './shard.ts';

/** @throws MODEL_CONFIG_INVALID for a shard that the model does not have; SAFETENSORS_INVALID where a file has become shorter */
export async function* readTensors(
  directory: Pick<ModelDirectory, 'manifest' | 'filePath'>,
  shard: Shard,
): AsyncGenerator<LoadedTensor, void, undefined> {
  const { tensors } = await directory.manifest(shard);
  for (const [name, { file, start, end, dtype, shape }] of Object.entries(tensors)) {
    const handle = await open(directory.filePath(file));
    try {
      const bytes = new Uint8Array(end - start);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
      if (bytesRead !== bytes.length) {
        throw new ShoalError(
          'SAFETENSORS_INVALID',
          `${file}: ${name} should take bytes ${start} to ${end}, and the file ends before; was it replaced while it is read?`,
        );
      }
      yield { name, dtype, shape, bytes };
    } finally {
      await handle.close();
    }
  }
}
