/**
 * `@huggingface/tokenizers` 0.2.0 writes some pre-tokenizers as JavaScript regular expressions, whose \s counts U+FEFF and misses U+0085,
 * and whose \w and \d know ASCII only. The original (huggingface/tokenizers, src/pre_tokenizers) uses Unicode's classes. The library's own
 * `Split` translates patterns rightly, so the others are said as `Split` before the library sees them. Delete when it does so itself;
 * test/model/tokenizer-reference.test.ts tells.
 */

/** GPT-2's pattern, as in src/pre_tokenizers/byte_level.rs. */
const BYTE_LEVEL_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** \w of Rust's `regex` (UTS #18, Annex C), which differs from Oniguruma's, the one that `Split` follows. */
const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D`;

/** @param config `pre_tokenizer` of tokenizer.json @returns the same meaning in parts that the library has right */
export function repairPreTokenizer(config: unknown): unknown {
  if (!isObject(config)) return config;
  switch (config.type) {
    case 'Sequence':
      return Array.isArray(config.pretokenizers)
        ? { ...config, pretokenizers: config.pretokenizers.map(repairPreTokenizer) }
        : config;
    case 'ByteLevel':
      // A prefix space must come before the split, where nothing else could put it; that form is left to the library.
      if (config.use_regex === false || config.add_prefix_space === true) return config;
      return {
        type: 'Sequence',
        pretokenizers: [split(BYTE_LEVEL_PATTERN, 'Isolated'), { ...config, use_regex: false }],
      };
    case 'WhitespaceSplit':
      return split(String.raw`\s+`, 'Removed');
    case 'Whitespace':
      return { ...split(`[${WORD}]+|[^${WORD}\\s]+`, 'Removed'), invert: true };
    case 'Digits':
      return split(config.individual_digits === true ? String.raw`\p{N}` : String.raw`\p{N}+`, 'Isolated');
    default:
      return config;
  }
}

function split(regex: string, behavior: 'Isolated' | 'Removed') {
  return { type: 'Split', pattern: { Regex: regex }, behavior, invert: false };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
