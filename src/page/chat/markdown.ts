/** Markdown as a model writes it, to HTML. Not yet sanitized: `fillBlock` does that. */
import { Marked, type Tokens, type TokensList } from 'marked';
import { MAX_MARKDOWN_EMPHASIS, MAX_MARKDOWN_RUN_CHARS } from '../../config/limits.ts';

/** Definitions of reference links, by their lower-case tag. */
export type Links = TokensList['links'];

/** marked looks behind each star for its partner: a text that is all stars would hold the page up for minutes. */
let emphasisLeft = 0;

function bounded<T>(work: () => T): T {
  emphasisLeft = MAX_MARKDOWN_EMPHASIS;
  return work();
}

/**
 * Raw HTML is text: an answer explains tags more often than it means them, and what is never parsed loads nothing. Only
 * `<br>` is obeyed, which models write to break a table's cell. Images are links: to load one would tell a third party
 * that the answer was read.
 */
const markdown = new Marked({
  gfm: true,
  breaks: true,
  tokenizer: {
    // False: as marked does it.
    emStrong: (source) => (/^[*_]/.test(source) && emphasisLeft-- <= 0 ? undefined : false),
    html: () => undefined,
    tag(source): Tokens.Tag | undefined {
      const raw = /^<br\s*\/?>/i.exec(source)?.[0];
      // marked knows a line break from the inline text only by this type.
      return raw === undefined ? undefined : ({ type: 'br', raw } as unknown as Tokens.Tag);
    },
  },
  renderer: {
    image({ href, text, tokens }) {
      const label = tokens ? this.parser.parseInline(tokens, this.parser.textRenderer) : escaped(text);
      return `<a href="${escaped(href)}">${label === '' ? escaped(href) : label}</a>`;
    },
    // A picture that is a link leads where the link does: anchors do not nest.
    link({ href, title, tokens }) {
      const hasImage = tokens.some(({ type }) => type === 'image');
      const inner = hasImage
        ? this.parser.parseInline(tokens, this.parser.textRenderer)
        : this.parser.parseInline(tokens);
      return `<a href="${escaped(href)}"${title ? ` title="${escaped(title)}"` : ''}>${inner || escaped(href)}</a>`;
    },
    // Below the page's own h1 and h2.
    heading({ tokens, depth }) {
      const level = Math.min(6, Math.max(3, depth + 1));
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    checkbox: ({ checked }) =>
      `<span class="box" role="img" aria-label="${checked ? 'done' : 'to do'}">${checked ? '☑' : '☐'}</span> `,
  },
});

export interface SourceBlock {
  readonly type: string;
  readonly raw: string;
}

/** The top-level blocks of `text`, blank lines and definitions with the block before them; joined they are `text` again. */
export function lexBlocks(text: string): { readonly blocks: readonly SourceBlock[]; readonly links: Links } {
  return (
    unlessTooDeep(() => {
      const lexer = new markdown.Lexer(markdown.defaults);
      // Not `lex`: what stands within the blocks is read when they are drawn.
      bounded(() => lexer.blockTokens(text, lexer.tokens));
      const blocks: { type: string; raw: string }[] = [];
      for (const { type, raw } of lexer.tokens) {
        const last = blocks.at(-1);
        if (last !== undefined && (type === 'space' || type === 'def')) last.raw += raw;
        else blocks.push({ type, raw });
      }
      return { blocks, links: lexer.tokens.links };
    }) ?? { blocks: [{ type: 'text', raw: text }], links: {} }
  );
}

/** @param links what reference links in the block may mean, beside its own definitions */
export function blockHtml(raw: string, links: Links): string {
  if (hasLongRun(raw) && !lexBlocks(raw).blocks.every(({ type }) => type === 'code')) return plainHtml(raw);
  return (
    unlessTooDeep(() => {
      const lexer = new markdown.Lexer(markdown.defaults);
      Object.assign(lexer.tokens.links, links);
      return markdown.parser(bounded(() => lexer.lex(raw)));
    }) ?? plainHtml(raw)
  );
}

/** marked goes down a level of the stack with each quote and list: ten thousand `>` are more than there are. */
function unlessTooDeep<T>(read: () => T): T | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof RangeError) return null;
    throw thrown;
  }
}

/** A loop of a model (`_a_a_a…`, spaces for ever): marked's time for what stands within a line is a run's length squared. */
function hasLongRun(raw: string): boolean {
  if (raw.length <= MAX_MARKDOWN_RUN_CHARS) return false;
  return [/\s+/, /\S+/].some((gap) => raw.split(gap).some(({ length }) => length > MAX_MARKDOWN_RUN_CHARS));
}

const plainHtml = (raw: string) => `<p>${escaped(raw.trimEnd()).replaceAll('\n', '<br>')}</p>`;

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string) => text.replaceAll(/[&<>"']/g, (character) => ESCAPES[character]!);
