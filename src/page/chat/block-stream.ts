import { blockHtml, type Links, lexBlocks } from './markdown.ts';

export interface Block {
  readonly raw: string;
  readonly html: string;
}

/**
 * Markdown that grows, in blocks that are rendered once. Only the text behind the finished blocks is read again, so that
 * the work for a piece depends on the block that it lands in, and not on the length of the answer.
 *
 * A block is finished when another has begun behind it and has a whole line: a line that is still growing may turn out to
 * belong to the block before (three backticks and a word are a fence until the line has a fourth).
 */
export class BlockStream {
  #text = '';
  #finished: Block[] = [];
  /** The sum of the finished blocks' lengths. */
  #finishedChars = 0;
  #links: Links = {};
  #blocks: readonly Block[] = [];
  #isWhole = false;

  /**
   * @param source all that there is; where it does not begin with what there was, everything is read anew
   * @param isWhole nothing more comes
   * @returns its blocks. Those that have not changed are the same objects as before.
   */
  update(source: string, isWhole: boolean): readonly Block[] {
    // marked reads it so, and its blocks would have other lengths than the text.
    const text = source.replaceAll(/\r\n?/g, '\n');
    if (text === this.#text && isWhole === this.#isWhole) return this.#blocks;
    if (!text.startsWith(this.#text)) this.#restart();
    this.#text = text;
    this.#isWhole = isWhole;
    this.#blocks = isWhole ? this.#whole() : this.#growing();
    return this.#blocks;
  }

  #growing(): readonly Block[] {
    const { blocks, links } = lexBlocks(this.#text.slice(this.#finishedChars));
    const lastLineStart = this.#text.lastIndexOf('\n') + 1;
    let start = this.#finishedChars;
    let done = 0;
    for (const { raw } of blocks.slice(0, -1)) {
      start += raw.length;
      if (start >= lastLineStart) break;
      this.#links = { ...lexBlocks(raw).links, ...this.#links };
      this.#finished.push({ raw, html: blockHtml(raw, this.#links) });
      this.#finishedChars = start;
      done++;
    }
    const known = { ...links, ...this.#links };
    const live = blocks.slice(done).map(({ raw }) => ({ raw, html: blockHtml(raw, known) }));
    return [...this.#finished, ...live];
  }

  /** Read once more as one text: a reference link's definition may stand behind its use. */
  #whole(): readonly Block[] {
    const { blocks, links } = lexBlocks(this.#text);
    return blocks.map(({ raw }, i) => {
      const html = blockHtml(raw, links);
      const before = this.#blocks[i];
      return before?.html === html ? before : { raw, html };
    });
  }

  #restart(): void {
    this.#finished = [];
    this.#finishedChars = 0;
    this.#links = {};
  }
}
