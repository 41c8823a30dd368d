/**
 * The models of tokenizer.json: how a piece of text becomes ids. Unigram is `@huggingface/tokenizers`' own, which gives the
 * original's ids for what is recorded of that (test/fixtures/tokenizers); byte_fallback it has not.
 */
import { Unigram } from '@huggingface/tokenizers';
import { ShoalError } from '../../../config/errors.ts';
import { createBpe, type Model, unknownOf } from './bpe.ts';
import { invalidPart, type PartConfig, unsupportedPart, wrongSetting } from './text-part.ts';

const SUPPORTED = ['BPE', 'Unigram', 'WordLevel'];

/**
 * @param config `model` of tokenizer.json
 * @param vocab its words and their ids
 * @throws TOKENIZER_INVALID
 */
export function createModel(config: PartConfig, vocab: ReadonlyMap<string, number>): Model {
  const type = config.type ?? impliedType(config);
  switch (type) {
    case 'BPE':
      return createBpe(config, vocab);
    case 'WordLevel':
      return wordLevel(config, vocab);
    case 'Unigram':
      return unigram(config, vocab);
    default:
      throw unsupportedPart('model', String(type), SUPPORTED);
  }
}

/** Files of before 2020 name no type. */
function impliedType(config: PartConfig): string {
  if (Array.isArray(config.vocab)) return 'Unigram';
  return Object.hasOwn(config, 'merges') ? 'BPE' : 'WordLevel';
}

function wordLevel(config: PartConfig, vocab: ReadonlyMap<string, number>): Model {
  const unknownId = unknownOf(config, vocab);
  return (piece) => {
    const id = vocab.get(piece) ?? unknownId;
    if (id !== undefined) return [id];
    throw new ShoalError(
      'INVALID_REQUEST',
      `the text has ${JSON.stringify(piece.slice(0, 40))}, and the model’s vocabulary has neither that word nor a token for unknown ones; leave it out`,
    );
  };
}

function unigram(config: PartConfig, vocab: ReadonlyMap<string, number>): Model {
  if (config.byte_fallback === true) {
    throw wrongSetting('model Unigram', 'byte_fallback', true, 'false (it is not supported)');
  }
  try {
    const model = new Unigram(config as unknown as ConstructorParameters<typeof Unigram>[0], '');
    const unknownId = config.unk_id as number | undefined;
    // Called, it also makes one of unknown tokens that follow each other.
    const call = model as unknown as (pieces: string[]) => string[];
    return (piece) => call([piece]).flatMap((token) => vocab.get(token) ?? unknownId ?? []);
  } catch (cause) {
    throw invalidPart(
      `model Unigram cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
}
