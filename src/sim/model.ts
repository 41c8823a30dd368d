/** The model of a simulation: small where it is computed, as large as wanted where it is counted. */
import { ShoalError } from '../config/errors.ts';
import { TokenHistory } from '../gpu/sampler.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { SamplingParams } from '../model/sampling.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { ModelCosts } from '../schedule/costs.ts';
import { embed, HashCache, sampleHash } from './arithmetic.ts';

export interface SimModel {
  /** Hidden rows of 4 values: what the real codecs carry. */
  readonly spec: ModelSpec;
  readonly costs: ModelCosts;
  /** GPU bytes of one position's KV cache in one layer. */
  readonly kvBytesPerLayer: number;
  /** One row in so many leaves the range of f16 in a layer, wherever it is computed; 0: none. */
  readonly f16RangeOneIn: number;
}

export interface SimModelOptions {
  readonly layers: number;
  readonly contextLength?: number;
  readonly vocab?: number;
  /** Of one layer. */
  readonly layerBytes?: number;
  /** Multiply-accumulates of one row in one layer. */
  readonly layerMacs?: number;
  /** Of embedding and head each. */
  readonly headBytes?: number;
  readonly headMacs?: number;
  readonly kvBytesPerLayer?: number;
  readonly f16RangeOneIn?: number;
}

const MB = 1e6;

export function simModel(options: SimModelOptions): SimModel {
  const { layers, contextLength = 512, vocab = 50_000 } = options;
  const { layerBytes = 30 * MB, layerMacs = 15 * MB, headBytes = 60 * MB, headMacs = 60 * MB } = options;
  const kvBytesPerLayer = options.kvBytesPerLayer ?? 4_096;
  const layer = { bytes: layerBytes + kvBytesPerLayer * contextLength, macs: layerMacs };
  return {
    spec: {
      layers,
      hidden: HIDDEN,
      intermediate: 8,
      heads: 1,
      kvHeads: 1,
      headDim: 4,
      vocab,
      contextLength,
      normEps: 1e-5,
      activation: 'silu',
      rope: { theta: 10_000, scaling: { type: 'none' } },
      qkvBias: false,
      oBias: false,
      mlpBias: false,
      qkNorm: false,
      tiedEmbeddings: false,
      bosTokenId: 0,
      eosTokenIds: [],
    },
    costs: {
      layers: Array.from({ length: layers }, () => layer),
      embedding: { bytes: headBytes, macs: 0 },
      head: { bytes: headBytes, macs: headMacs },
      tiedBytes: 0,
      scratchBytes: MB,
      largestBufferBytes: MB,
    },
    kvBytesPerLayer,
    f16RangeOneIn: options.f16RangeOneIn ?? 0,
  };
}

/** Values of a hidden row: enough for a hash and its check in either wire format. */
const HIDDEN = 4;

export interface Asked {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly eosTokenIds: readonly number[];
  readonly sampling: SamplingParams;
}

/**
 * What one worker that holds the whole model answers, when nothing disturbs it. Where a row leaves the range of f16, everything is
 * computed again in f32 and the text goes on from there, as the server does.
 */
export function undisturbed(model: SimModel, asked: Asked, wire: WireDtype = 'f16', bits = 0): number[] {
  const { layers, vocab, contextLength } = model.spec;
  const ids = [...asked.prompt];
  const history = new TokenHistory();
  history.note(0, ids, true);
  let cache = new HashCache(0, layers, model.f16RangeOneIn);
  let format = wire;
  const end = Math.min(asked.prompt.length + asked.maxTokens, contextLength);
  while (ids.length < end) {
    const row = cache.forward(embed(ids[cache.length]!), 0, layers, format, bits);
    if (cache.leftF16) {
      format = 'f32';
      cache = new HashCache(0, layers, model.f16RangeOneIn);
      continue;
    }
    if (cache.length < ids.length) continue;
    const token = sampleHash(row, ids.length, asked.sampling, history, vocab);
    history.note(ids.length, [token], false);
    ids.push(token);
    if (asked.eosTokenIds.includes(token)) break;
  }
  if (ids.length === asked.prompt.length) {
    throw new ShoalError('CONTEXT_LENGTH_EXCEEDED', `${ids.length} ids leave no room for a token`);
  }
  return ids.slice(asked.prompt.length);
}
