/** Whether an answer that was to repeat its prompt does: servers that know no `echo` leave it out without a word. */

/** Enough to tell a repeated prompt from an answer. */
const COMPARED_CHARS = 32;

/** Servers that write their tokens out may add a space, or a token that begins a text. */
const plain = (text: string) => text.replace(/^\s*<[^<>\s]{1,20}>/, '').replaceAll(/\s|\uFFFD/g, '');

export class EchoedPrompt {
  readonly #wanted: string;
  #text = '';
  #isFound: boolean;

  constructor(prompt: string) {
    this.#wanted = plain(prompt).slice(0, COMPARED_CHARS);
    this.#isFound = this.#wanted === '';
  }

  /**
   * @param isLast the choice ends with this text
   * @returns false as soon as the text cannot begin with the prompt any more
   */
  take(text: string, isLast: boolean): boolean {
    if (this.#isFound) return true;
    this.#text += text;
    const got = plain(this.#text);
    this.#isFound = got.startsWith(this.#wanted);
    if (this.#isFound) this.#text = '';
    return this.#isFound || (!isLast && this.#wanted.startsWith(got));
  }
}

/**
 * @param body of a completion
 * @returns the prompts that are to be repeated, as far as they are text; null where none is
 */
export function promptsToEcho(body: Readonly<Record<string, unknown>>): readonly (string | null)[] | null {
  if (body.echo !== true) return null;
  const given = Array.isArray(body.prompt) ? body.prompt : [body.prompt];
  return given.map((prompt) => (typeof prompt === 'string' ? prompt : null));
}
