/** Workers, servers, models and their errors are others' text: without control characters it cannot steer the terminal or forge lines. */

/** On one line. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

/** With its own line breaks and tabs: a model's answer, an error of several lines. */
export const printableLines = (text: string): string => text.replaceAll(/(?![\n\t])\p{Cc}/gu, '');

/** What a stream of others' text passes through on its way to stdout: a program that reads it gets it as it is. */
export const forStdout = (text: string, isTerminal: boolean | undefined = process.stdout.isTTY): string =>
  isTerminal ? printableLines(text) : text;

/** A JSON text whose strings, printed raw, hold no control characters but line breaks and tabs; JSON itself lets through U+007F to U+009F. */
export const printableJson = (json: string): string =>
  json
    // Pair by pair, so that the n of "\\n" is not taken for a line break's.
    .replaceAll(/\\(?:u00[01][0-9a-f]|[^u])/gi, (pair) => (/^\\[bfru]/i.test(pair) ? '' : pair))
    .replaceAll(/[\u007f-\u009f]/g, '');
