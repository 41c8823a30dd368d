import { ShoalError } from '../config/errors.ts';
import { MAX_BATCH_ROWS } from '../config/limits.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import { GREEDY, hasPenalties, type SamplingParams } from '../model/sampling.ts';

export interface GenerateOptions {
  /** Tokens at most; prompt and these together fit into `spec.contextLength`. */
  readonly maxTokens: number;
  /** Default: greedy. */
  readonly sampling?: SamplingParams;
  /** Ids that end the text and are not part of it. Default: those of the spec. */
  readonly endIds?: readonly number[];
}

let lastSequence = 0;

/**
 * Continues a text on an engine that holds the whole model, a token at a time; several may run at once. Whoever stops
 * reading frees the sequence.
 *
 * @param prompt (tokens) ids, at least one
 * @yields ids, each as soon as it is computed
 * @throws SEQUENCE_LIMIT, KV_EXHAUSTED, DEVICE_LOST; INVALID_REQUEST for an empty prompt, or an engine of some layers only
 */
export async function* generate(
  engine: StageEngine,
  prompt: readonly number[],
  { maxTokens, sampling = GREEDY, endIds = engine.spec.eosTokenIds }: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  const { shard } = engine;
  if (prompt.length === 0) throw new ShoalError('INVALID_REQUEST', 'the prompt has no token; it needs one');
  if (!shard.embedding || !shard.head) {
    throw new ShoalError(
      'INVALID_REQUEST',
      `the engine holds layers [${shard.start}, ${shard.end}) and not the whole model; make one for wholeModel(spec)`,
    );
  }
  const sequence = ++lastSequence;
  engine.openSequence(sequence, { maxPositions: prompt.length + maxTokens, sampling });
  try {
    if (hasPenalties(sampling)) engine.note(sequence, 0, Uint32Array.from(prompt), true);
    let rows = Uint32Array.from(prompt);
    for (let made = 0; made < maxTokens; made++) {
      const id = await next(engine, sequence, rows);
      if (endIds.includes(id)) return;
      yield id;
      rows = Uint32Array.of(id);
    }
  } finally {
    engine.closeSequence(sequence);
  }
}

/** The token that follows `rows`, which may need several micro-batches. */
async function next(engine: StageEngine, sequence: number, rows: Uint32Array): Promise<number> {
  for (let at = 0; ; at += MAX_BATCH_ROWS) {
    const tokens = rows.slice(at, at + MAX_BATCH_ROWS);
    const sample = at + tokens.length === rows.length;
    const position = engine.length(sequence);
    const entries = [{ sequence, position, count: tokens.length, sample }];
    const { sampled } = await engine.step({ entries, wire: 'f32', tokens });
    if (sample) return sampled![0]!;
  }
}
