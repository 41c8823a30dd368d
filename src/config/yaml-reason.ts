import type { ErrorCode } from 'yaml';

/**
 * What is wrong with the YAML, by the parser's code. The parser's own messages may quote the text (an alias, an escape),
 * and in this file the text may be a secret.
 */
export function yamlReason(code: ErrorCode): string {
  return REASONS[code] ?? 'is not valid YAML here; put values in quotes';
}

const QUOTE_IT = 'this value must be in quotes';

const REASONS: Partial<Record<ErrorCode, string>> = {
  MISSING_CHAR: 'a closing quote, a colon or a comma is missing',
  BAD_INDENT: 'the line is indented wrongly; all keys start in the first column',
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
  BLOCK_AS_IMPLICIT_KEY: 'two "key: value" pairs stand on one line, or a value with ": " in it lacks quotes',
  MULTIPLE_DOCS: 'a second document starts here; the file holds one',
  MULTIPLE_ANCHORS: QUOTE_IT,
  BAD_ALIAS: QUOTE_IT,
  BAD_SCALAR_START: QUOTE_IT,
  TAG_RESOLVE_FAILED: QUOTE_IT,
  BAD_DQ_ESCAPE: 'a backslash in double quotes must be written twice',
  BAD_DIRECTIVE: 'a line must not begin with %',
};
