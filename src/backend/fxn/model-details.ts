import type { ModelDetails } from '../../model/model-details.ts';
import { shardTensors, wholeModel } from '../../model/tensors.ts';
import type { ServedModel } from './served-model.ts';

/** What the lists of models say of the one that the mesh serves. */
export function modelDetails({ spec, details }: Pick<ServedModel, 'spec' | 'details'>): ModelDetails {
  return {
    contextLength: spec.contextLength,
    embeddingLength: spec.hidden,
    blockCount: spec.layers,
    feedForwardLength: spec.intermediate,
    headCount: spec.heads,
    headCountKv: spec.kvHeads,
    vocabSize: spec.vocab,
    parameters: shardTensors(spec, wholeModel(spec))
      .map(({ shape }) => shape.reduce((product, length) => product * length, 1))
      .reduce((sum, length) => sum + length, 0),
    capabilities: ['completion'],
    ...details,
  };
}
