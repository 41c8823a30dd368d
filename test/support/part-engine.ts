import type { StageEngine, StepInput } from '../../src/gpu/stage-engine.ts';
import type { Shard } from '../../src/model/shard.ts';

/** An engine that computes `part` of what `whole` holds, as a stage sees it that was given these layers alone. */
export function partEngine(whole: StageEngine, part: Shard): StageEngine {
  const over = (input: StepInput): StepInput => ({ ...input, layers: [part.start, part.end] });
  return {
    spec: whole.spec,
    shard: part,
    bytes: whole.bytes,
    kvPositions: whole.kvPositions,
    get freePositions() {
      return whole.freePositions;
    },
    openSequence: (sequence, options) => whole.openSequence(sequence, options),
    closeSequence: (sequence) => whole.closeSequence(sequence),
    length: (sequence) => whole.length(sequence),
    truncate: (sequence, length) => whole.truncate(sequence, length),
    note: (sequence, position, ids, prompt) => whole.note(sequence, position, ids, prompt),
    step: (input) => whole.step(over(input)),
    logits: (input) => whole.logits(over(input)),
    destroy: () => whole.destroy(),
  };
}
