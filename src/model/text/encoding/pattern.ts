/** Patterns of tokenizer.json and where they match, as the original's regular expressions find them (src/tokenizer/pattern.rs). */
import { SplitPreTokenizer } from '@huggingface/tokenizers';
import { invalidPart, type PartConfig, wrongSetting } from './text-part.ts';

/** [start, end) in UTF-16 units; together the spans cover the text, in order. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

/**
 * `{ "String": … }` or `{ "Regex": … }` in Oniguruma's syntax, which the library translates.
 * @throws TOKENIZER_INVALID
 */
export function readPattern(config: PartConfig, part: string): RegExp {
  const pattern = config.pattern as { String?: unknown; Regex?: unknown } | null | undefined;
  if (typeof pattern?.String === 'string') return literalPattern(pattern.String);
  if (typeof pattern?.Regex === 'string') return regexPattern(pattern.Regex, part);
  throw wrongSetting(part, 'pattern', pattern, '{"String": …} or {"Regex": …}');
}

export function literalPattern(text: string): RegExp {
  return new RegExp(
    text.replaceAll(/[.*+?^${}()|[\]\\/-]/gu, (char) => (char === '-' ? '\\x2d' : `\\${char}`)),
    'gu',
  );
}

/** @param source in Oniguruma's syntax, as Rust's `onig` reads it */
export function regexPattern(source: string, part: string): RegExp {
  try {
    const { pattern } = new SplitPreTokenizer({
      type: 'Split',
      pattern: { Regex: source },
      behavior: 'Isolated',
      invert: false,
    });
    if (pattern !== null) return pattern;
  } catch (cause) {
    throw invalidPart(
      `${part} has the pattern ${source}, which cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
  throw invalidPart(`${part} has the pattern ${source}, which cannot be read`);
}

/** Where the pattern matches, and what is between. An empty match right behind another is none, as in Rust's engines. */
export function spans(text: string, pattern: RegExp): Span[] {
  if (text === '') return [{ start: 0, end: 0, isMatch: false }];
  const found: Span[] = [];
  let last = 0;
  let hasMatched = false;
  for (const match of text.matchAll(pattern)) {
    const start = match.index;
    const end = start + match[0].length;
    if (start === end && hasMatched && start === last) continue;
    if (last !== start) found.push({ start: last, end: start, isMatch: false });
    found.push({ start, end, isMatch: true });
    last = end;
    hasMatched = true;
  }
  if (last !== text.length) found.push({ start: last, end: text.length, isMatch: false });
  return found;
}

/** The content as it is: a dollar in it means nothing. */
export function replaceMatches(text: string, pattern: RegExp, content: string): string {
  return spans(text, pattern)
    .map(({ start, end, isMatch }) => (isMatch ? content : text.slice(start, end)))
    .join('');
}
