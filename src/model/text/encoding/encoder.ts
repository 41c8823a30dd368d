/** From text to ids, as tokenizer.json says: added tokens, normalizer, pre-tokenizer, model, post-processor, in this order. */
import { type AddedToken, AddedTokenSplitter, readAddedTokens } from './added-tokens.ts';
import { createModel } from './models.ts';
import { createNormalizer } from './normalizers.ts';
import { createPostProcessor } from './post-processors.ts';
import { createPreTokenizer } from './pre-tokenizers.ts';
import type { PartConfig } from './text-part.ts';

const LONE_SURROGATE = /\p{Cs}/gu;

export interface TextEncoding {
  /** Also what the post-processor puts around a text. */
  readonly addSpecialTokens: boolean;
  /** Special tokens that the text spells are letters like any others. */
  readonly asOrdinaryText?: boolean;
}

export interface TextEncoder {
  readonly addedTokens: readonly AddedToken[];
  /** The vocabulary's tokens and the added ones. */
  readonly size: number;
  encode(text: string, how: TextEncoding): number[];
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
}

/**
 * @param json tokenizer.json, its vocabulary checked
 * @throws TOKENIZER_INVALID for what is not known, or not obeyed, by name
 */
export function createTextEncoder(json: PartConfig): TextEncoder {
  const config = json.model as PartConfig;
  const vocab = vocabulary(config.vocab);
  const addedTokens = readAddedTokens(json.added_tokens);
  const normalizer = createNormalizer(json.normalizer);
  const preTokenize = createPreTokenizer(json.pre_tokenizer);
  const model = createModel(config, vocab);
  const postProcess = createPostProcessor(json.post_processor);
  const splitter = new AddedTokenSplitter(addedTokens, normalizer);
  const ordinarySplitter = new AddedTokenSplitter(
    addedTokens.filter(({ special }) => !special),
    normalizer,
  );
  const idOf = new Map([...vocab, ...addedTokens.map(({ content, id }) => [content, id] as const)]);
  const tokenOf: string[] = [];
  for (const [token, id] of idOf) tokenOf[id] = token;

  return {
    addedTokens,
    size: idOf.size,
    idOf: (token) => idOf.get(token),
    tokenOf: (id) => tokenOf[id],
    encode(text, { addSpecialTokens, asOrdinaryText = false }) {
      const ids: number[] = [];
      // Half a surrogate pair is no character; in UTF-8 it is U+FFFD.
      for (const found of (asOrdinaryText ? ordinarySplitter : splitter).split(
        text.replaceAll(LONE_SURROGATE, '\ufffd'),
      )) {
        if (typeof found === 'number') ids.push(found);
        else for (const piece of preTokenize(found)) for (const id of model(piece.text)) ids.push(id);
      }
      return addSpecialTokens ? [...postProcess(ids)] : ids;
    },
  };
}

/** Words to ids, or, in Unigram, words in the order of their ids, each with its score. */
function vocabulary(vocab: unknown): Map<string, number> {
  return Array.isArray(vocab)
    ? new Map(vocab.map(([word]: [string], id) => [word, id]))
    : new Map(Object.entries(vocab as Record<string, number>));
}
