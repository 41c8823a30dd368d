/**
 * Decoders of tokenizer.json as streams: tokens in, text out as soon as no later token can change it.
 *
 * `@huggingface/tokenizers` decodes whole lists only, and differs from the original (huggingface/tokenizers, src/decoders) where
 * a model's output is not valid UTF-8, in the spaces of Metaspace's first token, and for added tokens under ByteLevel. So the decoders of
 * Llama-family models stand here, after the original, and one implementation serves streams and whole texts: the pieces of a
 * stream joined are the decoded text by construction.
 */
import { ShoalError } from '../../config/errors.ts';
import { charToByte } from './byte-level.ts';
import { readPattern, replaceMatches } from './encoding/pattern.ts';
import type { PartConfig } from './encoding/text-part.ts';

/** One decoder. `push` and `end` give the pieces that are settled; `end` is called once, after the last token. */
export interface DecodeStep {
  push(token: string): string[];
  end(): string[];
}

/** A piece is a token of the original, or, once tokens were fused into one, a part of that one token. */
interface StepKind {
  readonly fused: boolean;
}

/**
 * @param config `decoder` of tokenizer.json, not yet checked
 * @throws TOKENIZER_INVALID for a decoder that no Llama-family tokenizer uses
 */
export function createDecodeStep(config: unknown): DecodeStep {
  return chain(makeSteps(config, { fused: false }).steps);
}

function makeSteps(config: unknown, kind: StepKind): { steps: DecodeStep[]; kind: StepKind } {
  // Without a decoder the original joins tokens with spaces.
  if (config === null || config === undefined) return { steps: [joinWithSpaces()], kind: { fused: true } };
  const type = field(config, 'type');
  switch (type) {
    case 'Sequence': {
      const decoders = field(config, 'decoders');
      if (!Array.isArray(decoders)) throw invalid('decoder Sequence has no list of decoders');
      let current = kind;
      const steps = decoders.flatMap((decoder) => {
        const made = makeSteps(decoder, current);
        current = made.kind;
        return made.steps;
      });
      return { steps, kind: current };
    }
    case 'ByteLevel':
      return { steps: [...whole(kind), byteLevel()], kind: { fused: true } };
    case 'ByteFallback':
      return { steps: [...whole(kind), byteFallback()], kind };
    case 'Fuse':
      return { steps: [], kind: { fused: true } };
    case 'Replace': {
      const { replace, acrossPieces } = replacement(config);
      return { steps: [...(acrossPieces ? whole(kind) : []), eachToken(replace)], kind };
    }
    case 'Strip':
      return { steps: [kind.fused ? stripFused(config) : eachToken((token) => strip(config, token))], kind };
    case 'Metaspace':
      return { steps: [...whole(kind), metaspace(config)], kind };
    case 'BPEDecoder':
      return { steps: [...whole(kind), bpeSuffix(config)], kind };
    default:
      throw invalid(
        `decoder ${JSON.stringify(type) ?? 'without a type'} is not supported; supported are ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder and sequences of them`,
      );
  }
}

/** For steps that must see a fused token in one piece. Correct, but nothing is streamed. */
function whole(kind: StepKind): DecodeStep[] {
  if (!kind.fused) return [];
  let text = '';
  return [
    {
      push(piece) {
        text += piece;
        return [];
      },
      end: () => [text],
    },
  ];
}

function chain(steps: readonly DecodeStep[]): DecodeStep {
  const through = (from: number, pieces: readonly string[]): string[] =>
    steps.slice(from).reduce<string[]>((all, step) => all.flatMap((piece) => step.push(piece)), [...pieces]);
  return {
    push: (token) => through(0, [token]),
    end: () => steps.flatMap((step, index) => through(index + 1, step.end())),
  };
}

function eachToken(change: (token: string) => string): DecodeStep {
  return { push: (token) => [change(token)], end: () => [] };
}

function joinWithSpaces(): DecodeStep {
  let isFirst = true;
  return eachToken((token) => {
    const text = isFirst ? token : ` ${token}`;
    isFirst = false;
    return text;
  });
}

/** src/pre_tokenizers/byte_level.rs: a token that has a character outside the byte alphabet stands for its own UTF-8. */
function byteLevel(): DecodeStep {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  return {
    push(token) {
      const bytes: number[] = [];
      for (const char of token) {
        const byte = charToByte(char);
        if (byte === undefined) return [utf8.decode(encoder.encode(token), { stream: true })];
        bytes.push(byte);
      }
      return [utf8.decode(Uint8Array.from(bytes), { stream: true })];
    },
    end: () => [utf8.decode()],
  };
}

/**
 * src/decoders/byte_fallback.rs: a run of `<0xHH>` tokens is one string if all of it is UTF-8, else one U+FFFD a byte. Whether it is
 * shows only at the run's end, so the run is held back till then.
 */
function byteFallback(): DecodeStep {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
  let run: number[] = [];
  const end = (): string[] => {
    if (run.length === 0) return [];
    const bytes = Uint8Array.from(run);
    run = [];
    try {
      return [utf8.decode(bytes)];
    } catch {
      return Array.from(bytes, () => '\uFFFD');
    }
  };
  return {
    push(token) {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
      if (byte === undefined) return [...end(), token];
      run.push(Number.parseInt(byte, 16));
      return [];
    },
    end,
  };
}

function replacement(config: unknown): { replace: (token: string) => string; acrossPieces: boolean } {
  const pattern = readPattern(config as PartConfig, 'decoder Replace');
  const content = textField(config, 'content', '');
  const text = field(field(config, 'pattern'), 'String');
  return {
    replace: (token) => replaceMatches(token, pattern, content),
    acrossPieces: typeof text !== 'string' || [...text].length > 1,
  };
}

/** src/decoders/strip.rs: up to `start` and `stop` times `content` from a token's ends. */
function strip(config: unknown, token: string): string {
  const content = textField(config, 'content', ' ');
  const chars = [...token];
  let from = 0;
  while (from < Math.min(countField(config, 'start'), chars.length) && chars[from] === content) from++;
  let to = chars.length;
  while (to > from && chars.length - to < countField(config, 'stop') && chars[to - 1] === content) to--;
  return chars.slice(from, to).join('');
}

/** The same over one token that comes in pieces: the end is held back while it may be stripped. */
function stripFused(config: unknown): DecodeStep {
  const content = textField(config, 'content', ' ');
  let startLeft = countField(config, 'start');
  const stop = countField(config, 'stop');
  let held: string[] = [];
  return {
    push(piece) {
      const chars = [...held, ...piece];
      let from = 0;
      // What is held back already passed the start.
      while (held.length === 0 && startLeft > 0 && chars[from] === content) {
        from++;
        startLeft--;
      }
      if (chars.length > from) startLeft = 0;
      let to = chars.length;
      while (to > from && chars.length - to < stop && chars[to - 1] === content) to--;
      held = chars.slice(to);
      return [chars.slice(from, to).join('')];
    },
    end: () => [],
  };
}

/** src/pre_tokenizers/metaspace.rs: the first token loses its replacement characters, all of them, unless nothing is ever prepended. */
function metaspace(config: unknown): DecodeStep {
  const mark = textField(config, 'replacement', '▁');
  const drops = textField(config, 'prepend_scheme', 'always') !== 'never';
  let isFirst = true;
  return eachToken((token) => {
    const text = token.replaceAll(mark, isFirst && drops ? '' : ' ');
    isFirst = false;
    return text;
  });
}

/** src/decoders/bpe.rs: the suffix ends a word: a space, but for the last token. */
function bpeSuffix(config: unknown): DecodeStep {
  const suffix = textField(config, 'suffix', '</w>');
  let last: string | undefined;
  return {
    push(token) {
      const settled = last === undefined ? [] : [last.replaceAll(suffix, ' ')];
      last = token;
      return settled;
    },
    end: () => (last === undefined ? [] : [last.replaceAll(suffix, '')]),
  };
}

function field(config: unknown, key: string): unknown {
  return typeof config === 'object' && config !== null && Object.hasOwn(config, key)
    ? Reflect.get(config, key)
    : undefined;
}

function textField(config: unknown, key: string, fallback: string): string {
  const value = field(config, key) ?? fallback;
  if (typeof value === 'string') return value;
  throw invalid(`decoder: ${key} is ${JSON.stringify(value)}; a string is needed`);
}

function countField(config: unknown, key: string): number {
  const value = field(config, key) ?? 0;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`decoder: ${key} is ${JSON.stringify(value)}; a whole number ≥ 0 is needed`);
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('TOKENIZER_INVALID', `tokenizer.json: ${message}`, { cause, param: 'decoder' });
}
