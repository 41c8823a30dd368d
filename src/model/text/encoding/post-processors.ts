/** Post-processors of tokenizer.json: what is put around a text's ids (huggingface/tokenizers, src/processors), for one text alone. */
import {
  invalidPart,
  listSetting,
  type PartConfig,
  partConfig,
  unsupportedPart,
  wrongSetting,
} from './text-part.ts';

export type PostProcessor = (ids: readonly number[]) => readonly number[];

const SUPPORTED = ['Sequence', 'TemplateProcessing', 'ByteLevel', 'BertProcessing', 'RobertaProcessing'];

/**
 * @param config `post_processor` of tokenizer.json; null: nothing is added
 * @throws TOKENIZER_INVALID
 */
export function createPostProcessor(config: unknown): PostProcessor {
  if (config === null || config === undefined) return (ids) => ids;
  const part = partConfig(config, 'post_processor');
  switch (part.type) {
    case 'Sequence': {
      const list = listSetting(part, 'post_processor Sequence', 'processors');
      const parts = list.map(createPostProcessor);
      // The original takes what the second gets for a pair of texts, or panics.
      if (list.filter((one) => (one as PartConfig).type !== 'ByteLevel').length > 1) {
        throw invalidPart(
          'post_processor Sequence has more than one part that adds tokens, which is not supported',
        );
      }
      return (ids) => parts.reduce((done, next) => next(done), ids);
    }
    // It only trims offsets.
    case 'ByteLevel':
      return (ids) => ids;
    case 'TemplateProcessing':
      return template(part);
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const [first, last] = ['cls', 'sep'].map((key) => idOfPair(part, key));
      return (ids) => [first!, ...ids, last!];
    }
    default:
      throw unsupportedPart('post_processor', part.type, SUPPORTED);
  }
}

function template(part: PartConfig): PostProcessor {
  const pieces = listSetting(part, 'post_processor TemplateProcessing', 'single').map((piece) => {
    const { SpecialToken: special, Sequence: sequence } = (piece ?? {}) as PartConfig;
    if (special !== undefined) return specialIds(part, (special as PartConfig | null)?.id);
    if ((sequence as PartConfig | null | undefined)?.id === 'A') return null;
    throw invalidPart(
      `post_processor TemplateProcessing has the piece ${JSON.stringify(piece)?.slice(0, 80)}; a SpecialToken or the Sequence A is needed`,
    );
  });
  return (ids) => pieces.flatMap((piece) => piece ?? ids);
}

/** One name may stand for several ids. */
function specialIds(part: PartConfig, name: unknown): number[] {
  const known = (part.special_tokens ?? {}) as Readonly<Record<string, { ids?: unknown } | undefined>>;
  const ids = typeof name === 'string' && Object.hasOwn(known, name) ? known[name]?.ids : undefined;
  if (Array.isArray(ids) && ids.every((id) => Number.isSafeInteger(id) && id >= 0)) return ids;
  throw invalidPart(
    `post_processor TemplateProcessing uses ${JSON.stringify(name)}, which special_tokens does not list`,
  );
}

function idOfPair(part: PartConfig, key: string): number {
  const pair = part[key];
  const id: unknown = Array.isArray(pair) ? pair[1] : undefined;
  if (typeof id === 'number') return id;
  throw wrongSetting(`post_processor ${part.type}`, key, pair, '[token, id]');
}
