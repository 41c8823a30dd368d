import type { TensorCache } from '../../src/model/fetch/tensor-cache.ts';

export class MemoryTensorCache implements TensorCache {
  readonly #tensors = new Map<string, Uint8Array<ArrayBuffer>>();

  async get(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#tensors.get(sha256)?.slice();
  }

  async put(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#tensors.set(sha256, bytes.slice());
  }

  async delete(sha256: string): Promise<void> {
    this.#tensors.delete(sha256);
  }
}
