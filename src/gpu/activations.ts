import { MAX_BATCH_ROWS } from '../config/limits.ts';
import { activationBytes, scratchBytes } from '../model/gpu-bytes.ts';
import type { Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';

type ActivationName = keyof ReturnType<typeof activationBytes>['buffers'];

/** The buffers of `activationBytes`. */
export type Activations = Readonly<Record<ActivationName, GPUBuffer>>;

const { STORAGE, COPY_SRC, COPY_DST } = USAGE;
const USAGES: Record<ActivationName, number> = {
  x: STORAGE,
  normed: STORAGE,
  qkv: STORAGE,
  attention: STORAGE,
  mlp: STORAGE,
  partials: STORAGE,
  wire: STORAGE | COPY_SRC | COPY_DST,
  tokens: STORAGE | COPY_DST,
  rowInfo: STORAGE | COPY_DST,
  identity: STORAGE | COPY_DST,
  sampleRows: STORAGE | COPY_DST,
  logits: STORAGE | COPY_SRC,
  ids: STORAGE | COPY_SRC,
  status: STORAGE | COPY_SRC | COPY_DST,
  empty: STORAGE,
};

/** Every buffer a micro-batch passes through, and how many rows of logits fit at once. */
export async function createActivations(
  spec: ModelSpec,
  shard: Shard,
  device: GpuDevice,
): Promise<{ buffers: Activations; logitRows: number }> {
  const bindingBytes = device.limits.maxStorageBindingBytes;
  const { buffers, logitRows } = activationBytes(spec, shard.head, bindingBytes);
  const bytes = scratchBytes(spec, shard.head, bindingBytes);
  const made = await device.guardMemory('activation buffers', bytes, () =>
    Object.fromEntries(
      Object.entries(buffers).map(([name, size]) => [
        name,
        device.create(name, size, USAGES[name as ActivationName]),
      ]),
    ),
  );
  const activations = made as Activations;
  device.raw.queue.writeBuffer(
    activations.identity,
    0,
    Uint32Array.from({ length: MAX_BATCH_ROWS }, (_, row) => row),
  );
  return { buffers: activations, logitRows };
}
