import { ShoalError } from '../../config/errors.ts';
import type { Shard } from '../shard.ts';
import { shardTensors } from '../tensors.ts';
import type { WeightManifest } from './manifest.ts';

/**
 * Whether a manifest lists exactly the tensors of a shard, each with the shape that the spec calls for. A worker calls it before it
 * fetches anything.
 * @throws TENSOR_MISSING, TENSOR_SHAPE
 */
export function checkManifest(manifest: WeightManifest, shard: Shard): void {
  const expected = shardTensors(manifest.spec, shard);
  const where = `the manifest of ${manifest.model} for layers [${shard.start}, ${shard.end})`;
  for (const { name, shape } of expected) {
    const entry = Object.hasOwn(manifest.tensors, name) ? manifest.tensors[name] : undefined;
    if (entry === undefined) {
      throw new ShoalError('TENSOR_MISSING', `${where} lacks tensor "${name}"`, { param: name });
    }
    if (entry.shape.length !== shape.length || entry.shape.some((n, i) => n !== shape[i])) {
      throw new ShoalError(
        'TENSOR_SHAPE',
        `${where} gives tensor "${name}" the shape [${entry.shape.join(', ')}], its spec calls for [${shape.join(', ')}]`,
        { param: name },
      );
    }
  }
  const names = new Set(expected.map(({ name }) => name));
  const extra = Object.keys(manifest.tensors).find((name) => !names.has(name));
  if (extra !== undefined) {
    throw new ShoalError(
      'TENSOR_MISSING',
      `${where} lists ${Object.keys(manifest.tensors).length} tensors, the shard has ${names.size}: "${extra}" is not one of them`,
      { param: extra },
    );
  }
}
