import type { Frame } from '../mesh/frame.ts';
import { decodeFrame } from '../mesh/frame-codec.ts';
import { MemoryTransport } from '../mesh/memory-transport.ts';

/** A route of one stage sends its tokens to itself, encoded as all others are. */
export class Loopback {
  readonly #near: MemoryTransport;

  constructor(now: () => number, onFrame: (frame: Frame, unpackMs: number) => void) {
    const [near, far] = MemoryTransport.pair();
    this.#near = near;
    far.onFrame((bytes) => {
      const startedMs = now();
      const frame = decodeFrame(bytes);
      onFrame(frame, now() - startedMs);
    });
  }

  send(bytes: Uint8Array): Promise<void> {
    return this.#near.send(bytes);
  }

  close(): void {
    this.#near.close();
  }
}
