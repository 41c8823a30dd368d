/**
 * Byte-pair encoding (huggingface/tokenizers, src/models/bpe): the characters of a word are ids, and of all neighbours that can merge the
 * pair of the lowest rank does, leftmost first, until none can. `@huggingface/tokenizers` 0.2.0 merges texts and looks for unknown
 * characters afterwards, so that it gets `continuing_subword_prefix`, unknown characters and `fuse_unk` wrong.
 */
import { MAX_MERGED_WORD_CHARS, MAX_MERGED_WORDS, MAX_VOCAB } from '../../../config/limits.ts';
import { invalidPart, type PartConfig, wrongSetting } from './text-part.ts';

/** @param piece not empty @returns ids */
export type Model = (piece: string) => readonly number[];

/** Ids are below it, so a pair is one exact number. */
const PAIR_BASE = MAX_VOCAB;

interface Merges {
  /** Pair (left · PAIR_BASE + right) to rank; lower ranks merge first. */
  readonly rankOf: ReadonlyMap<number, number>;
  /** Id of what a rank's pair becomes. */
  readonly newIdOf: readonly number[];
}

/**
 * @param config `model` of tokenizer.json
 * @throws TOKENIZER_INVALID for settings that are wrong or draw at random
 */
export function createBpe(config: PartConfig, vocab: ReadonlyMap<string, number>): Model {
  const prefix = optionalText(config, 'continuing_subword_prefix');
  const suffix = optionalText(config, 'end_of_word_suffix');
  const unknownId = unknownOf(config, vocab);
  const { fuse_unk: fusesUnknown = false, byte_fallback: byteFallback = false, dropout } = config;
  if (dropout !== null && dropout !== undefined && dropout !== 0) {
    throw wrongSetting(
      'model BPE',
      'dropout',
      dropout,
      'none (it is for training, and leaves tokens to chance)',
    );
  }
  const merges = readMerges(config.merges, vocab, prefix);
  const encoder = new TextEncoder();
  const cache = new Map<string, readonly number[]>();

  /** Ids of the UTF-8 bytes, null unless the vocabulary has all of them. */
  function bytesOf(text: string): number[] | null {
    const ids: number[] = [];
    for (const byte of encoder.encode(text)) {
      const id = vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
      if (id === undefined) return null;
      ids.push(id);
    }
    return ids;
  }

  function characters(word: string): number[] {
    const ids: number[] = [];
    const chars = Array.from(word);
    let unknownIsOpen = false;
    const closeUnknown = () => {
      if (unknownIsOpen) ids.push(unknownId!);
      unknownIsOpen = false;
    };
    chars.forEach((char, at) => {
      const symbol = (at > 0 ? prefix : '') + char + (at === chars.length - 1 ? suffix : '');
      const id = vocab.get(symbol);
      if (id !== undefined) {
        closeUnknown();
        ids.push(id);
        return;
      }
      const bytes = byteFallback === true ? bytesOf(symbol) : null;
      if (bytes !== null) ids.push(...bytes);
      else if (unknownId !== undefined) {
        if (fusesUnknown !== true) closeUnknown();
        unknownIsOpen = true;
      }
    });
    closeUnknown();
    return ids;
  }

  return (word) => {
    if (config.ignore_merges === true) {
      const id = vocab.get(word);
      if (id !== undefined) return [id];
    }
    const known = cache.get(word);
    if (known !== undefined) return known;
    const ids = mergeAll(characters(word), merges);
    if (word.length <= MAX_MERGED_WORD_CHARS) {
      if (cache.size >= MAX_MERGED_WORDS) cache.clear();
      cache.set(word, ids);
    }
    return ids;
  };
}

function optionalText(config: PartConfig, key: string): string {
  const value = config[key] ?? '';
  if (typeof value === 'string') return value;
  throw wrongSetting('model BPE', key, value, 'a text');
}

/** @throws TOKENIZER_INVALID when it names an unknown token that the vocabulary lacks */
export function unknownOf(config: PartConfig, vocab: ReadonlyMap<string, number>): number | undefined {
  const { unk_token: unknown } = config;
  if (unknown === null || unknown === undefined) return undefined;
  const id = typeof unknown === 'string' ? vocab.get(unknown) : undefined;
  if (id === undefined) throw wrongSetting('model', 'unk_token', unknown, 'a token of the vocabulary');
  return id;
}

function readMerges(list: unknown, vocab: ReadonlyMap<string, number>, prefix: string): Merges {
  if (!Array.isArray(list)) throw invalidPart('model BPE: merges are not a list');
  const rankOf = new Map<number, number>();
  const newIdOf = list.map((merge: unknown, rank) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = Array.isArray(pair) && pair.length === 2 ? pair : [];
    if (typeof left !== 'string' || typeof right !== 'string') {
      throw invalidPart(
        `model BPE: merge ${rank} is ${JSON.stringify(merge)?.slice(0, 80)}; two tokens are needed`,
      );
    }
    const merged = left + right.slice(prefix.length);
    const [leftId, rightId, newId] = [left, right, merged].map((token) => vocab.get(token));
    if (leftId === undefined || rightId === undefined || newId === undefined) {
      throw invalidPart(
        `model BPE: merge ${rank}, ${JSON.stringify(left)} and ${JSON.stringify(right)}, has a token that the vocabulary lacks`,
      );
    }
    rankOf.set(leftId * PAIR_BASE + rightId, rank);
    return newId;
  });
  return { rankOf, newIdOf };
}

/** Takes the list over. */
function mergeAll(ids: number[], { rankOf, newIdOf }: Merges): readonly number[] {
  const count = ids.length;
  if (count < 2) return ids;
  const next = Int32Array.from(ids, (_, at) => at + 1);
  const previous = Int32Array.from(ids, (_, at) => at - 1);
  const isGone = new Uint8Array(count);
  const queue = new MergeQueue();
  const offer = (at: number) => {
    const rank = rankOf.get(ids[at]! * PAIR_BASE + ids[next[at]!]!);
    if (rank !== undefined) queue.push(rank, at);
  };
  for (let at = 0; at + 1 < count; at++) offer(at);
  while (queue.pop()) {
    const { rank, at } = queue;
    const right = next[at]!;
    if (isGone[at] || right >= count) continue;
    // What stood here when it was offered may have merged with another since.
    const rankNow = rankOf.get(ids[at]! * PAIR_BASE + ids[right]!);
    if (rankNow === undefined || newIdOf[rankNow] !== newIdOf[rank]) continue;
    ids[at] = newIdOf[rank]!;
    isGone[right] = 1;
    const after = next[right]!;
    next[at] = after;
    if (after < count) {
      previous[after] = at;
      offer(at);
    }
    if (previous[at]! >= 0) offer(previous[at]!);
  }
  return ids.filter((_, at) => isGone[at] === 0);
}

/** A heap of (rank, position), the lowest rank first, then leftmost. */
class MergeQueue {
  /** Of what was popped last. */
  rank = 0;
  at = 0;
  readonly #ranks: number[] = [];
  readonly #positions: number[] = [];

  push(rank: number, at: number): void {
    let hole = this.#ranks.length;
    this.#ranks.push(rank);
    this.#positions.push(at);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#isBefore(hole, parent)) break;
      this.#swap(hole, parent);
      hole = parent;
    }
  }

  /** @returns whether there was one; it is in `rank` and `at` */
  pop(): boolean {
    const last = this.#ranks.length - 1;
    if (last < 0) return false;
    this.#swap(0, last);
    this.rank = this.#ranks.pop()!;
    this.at = this.#positions.pop()!;
    for (let hole = 0; ; ) {
      let first = hole;
      for (const child of [2 * hole + 1, 2 * hole + 2]) {
        if (child < last && this.#isBefore(child, first)) first = child;
      }
      if (first === hole) return true;
      this.#swap(hole, first);
      hole = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    return (
      this.#ranks[a]! < this.#ranks[b]! ||
      (this.#ranks[a] === this.#ranks[b] && this.#positions[a]! < this.#positions[b]!)
    );
  }

  #swap(a: number, b: number): void {
    const rank = this.#ranks[a]!;
    this.#ranks[a] = this.#ranks[b]!;
    this.#ranks[b] = rank;
    const at = this.#positions[a]!;
    this.#positions[a] = this.#positions[b]!;
    this.#positions[b] = at;
  }
}
