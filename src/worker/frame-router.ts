import { ShoalError } from '../config/errors.ts';
import type { Frame, FrameEntry } from '../mesh/frame.ts';
import type { Stage } from './stage.ts';
import type { SequenceId } from './stage-types.ts';
import { Tombstones } from './tombstones.ts';

export interface FrameRouterOptions {
  readonly stageOf: (sequence: number) => Stage | undefined;
  /** A frame came for a sequence that is not open here and was not a moment ago. */
  readonly unknown: (id: SequenceId, error: ShoalError, peer: string) => void;
}

/** Brings what comes over the links to the stages: entries of one frame may be for several shards of this worker. */
export class FrameRouter {
  readonly #options: FrameRouterOptions;
  readonly #tombstones = new Tombstones();

  constructor(options: FrameRouterOptions) {
    this.#options = options;
  }

  /** The sequence is over: late frames for it are dropped in silence. */
  over(sequence: number): void {
    this.#tombstones.add(sequence);
  }

  wasOver(sequence: number): boolean {
    return this.#tombstones.has(sequence);
  }

  opened(sequence: number): void {
    this.#tombstones.delete(sequence);
  }

  /** @param unpackMs what decoding took */
  route(from: string, frame: Frame, unpackMs: number): void {
    const stages = new Set<Stage>();
    for (const entry of frame.entries) {
      const stage = this.#options.stageOf(entry.sequence);
      if (stage === undefined) this.#unknown(entry, from);
      else stages.add(stage);
    }
    for (const stage of stages) {
      stage.hop.unpacked(unpackMs, isDecode(frame));
      stage.receive(from, frame);
    }
  }

  #unknown({ sequence, epoch }: FrameEntry, from: string): void {
    if (this.#tombstones.has(sequence)) return;
    this.over(sequence);
    const error = new ShoalError(
      'SEQUENCE_UNKNOWN',
      `a frame from ${from} names sequence ${sequence}, which is not open here; open it first`,
    );
    this.#options.unknown({ sequence, epoch }, error, from);
  }
}

/** Whether every entry is one step of a sequence. */
export function isDecode(frame: Frame): boolean {
  return frame.kind !== 'ack' && frame.entries.every((entry) => entry.sample && entry.count === 1);
}
