import { ShoalError } from '../config/errors.ts';
import { MAX_BATCH_ROWS } from '../config/limits.ts';
import { layersText, type Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { KvCache, KvSequence } from './kv-cache.ts';
import { type StepInput, WIRE_DTYPE_BYTES } from './stage-engine.ts';

/** What of the shard a step computes. */
export interface Part {
  /** Layers of the model, [start, end). */
  readonly start: number;
  readonly end: number;
  /** Ids come in and are embedded; else hidden states. */
  readonly embeds: boolean;
  /** The final norm and the LM head follow; else hidden states go out. */
  readonly heads: boolean;
}

/** A row whose successor is to be picked. */
export interface Sample {
  readonly sequence: number;
  readonly row: number;
  /** Position of the token to be picked. */
  readonly position: number;
}

/** A validated micro-batch. */
export interface Batch {
  readonly part: Part;
  /** (rows) position of each row */
  readonly positions: readonly number[];
  /** (rows, 2) position, start of the page table */
  readonly rowInfo: Uint32Array<ArrayBuffer>;
  readonly samples: readonly Sample[];
  /** What each sequence holds once the batch is submitted. */
  readonly lengths: ReadonlyMap<KvSequence, number>;
}

export interface BatchContext {
  readonly spec: ModelSpec;
  readonly shard: Shard;
  readonly kv: KvCache;
  /** Every row is a sample, whatever its entry says. */
  readonly allLogits: boolean;
}

/** @throws SEQUENCE_UNKNOWN, POSITION_GAP, KV_EXHAUSTED, INVALID_REQUEST; nothing is changed then */
export function validateBatch(input: StepInput, { spec, shard, kv, allLogits }: BatchContext): Batch {
  const part = partOf(shard, input.layers);
  if (allLogits && !part.heads) {
    throw new ShoalError('INVALID_REQUEST', 'no LM head follows these layers; ask the last stage for logits');
  }
  const positions: number[] = [];
  const rowInfo: number[] = [];
  const samples: Sample[] = [];
  const lengths = new Map<KvSequence, number>();
  for (const { sequence: id, position, count, sample } of input.entries) {
    const sequence = kv.get(id);
    const length = lengths.get(sequence) ?? sequence.length;
    checkLayers(sequence, part);
    if (position !== length) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${id} holds ${length} positions, the entry starts at ${position}; send position ${length} next, or truncate first`,
      );
    }
    if (!Number.isInteger(count) || count < 1 || positions.length + count > MAX_BATCH_ROWS) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `a micro-batch of ${positions.length + count} rows; send 1 to ${MAX_BATCH_ROWS}`,
      );
    }
    if (position + count > sequence.maxPositions) {
      throw new ShoalError(
        'KV_EXHAUSTED',
        `sequence ${id} reserved ${sequence.maxPositions} positions, the entry ends at ${position + count}; open it with more`,
      );
    }
    for (let i = 0; i < count; i++) {
      if (allLogits) samples.push({ sequence: id, row: positions.length, position: position + i + 1 });
      positions.push(position + i);
      rowInfo.push(position + i, sequence.table);
    }
    if (sample && part.heads && !allLogits) {
      samples.push({ sequence: id, row: positions.length - 1, position: position + count });
    }
    lengths.set(sequence, position + count);
  }
  if (positions.length === 0) throw new ShoalError('INVALID_REQUEST', 'a micro-batch without rows');
  checkPayload(input, spec, part, positions.length);
  return { part, positions, rowInfo: Uint32Array.from(rowInfo), samples, lengths };
}

/** @throws INVALID_REQUEST for layers that the shard does not hold */
function partOf(shard: Shard, layers: StepInput['layers']): Part {
  const [start, end] = layers ?? [shard.start, shard.end];
  const isRange = Number.isInteger(start) && Number.isInteger(end) && start < end;
  if (!isRange || start < shard.start || end > shard.end) {
    throw new ShoalError(
      'INVALID_REQUEST',
      `layers [${start}, ${end}) of a shard that holds [${shard.start}, ${shard.end}); ask for layers that it holds`,
    );
  }
  return {
    start,
    end,
    embeds: shard.embedding && start === shard.start,
    heads: shard.head && end === shard.end,
  };
}

/** The positions that a sequence holds are those of the layers that computed them: others know nothing of them. */
function checkLayers({ id, length, layers }: KvSequence, { start, end }: Part): void {
  if (length === 0 || layers === undefined || (layers[0] === start && layers[1] === end)) return;
  throw new ShoalError(
    'INVALID_REQUEST',
    `sequence ${id} holds ${length} positions of ${layersText(...layers)}, the step is over ${layersText(start, end)}; truncate it to 0 first`,
  );
}

function checkPayload(input: StepInput, spec: ModelSpec, { embeds }: Part, rows: number): void {
  if (embeds) {
    const { tokens } = input;
    if (tokens?.length !== rows) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `${tokens?.length ?? 0} token ids for ${rows} rows; send one a row`,
      );
    }
    const beyond = tokens.find((id) => id >= spec.vocab);
    if (beyond !== undefined) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `token id ${beyond} lies beyond the vocabulary of ${spec.vocab}; use the model's own tokenizer`,
      );
    }
    return;
  }
  const bytes = rows * spec.hidden * WIRE_DTYPE_BYTES[input.wire];
  if (input.hidden?.byteLength !== bytes) {
    throw new ShoalError(
      'INVALID_REQUEST',
      `${input.hidden?.byteLength ?? 0} bytes of hidden states for ${rows} rows of ${spec.hidden} ${input.wire}; ${bytes} are needed`,
    );
  }
}
