/** Cuts an event stream into its blocks (an event or comments, up to the blank line), whose bytes can go on as they came. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../../config/limits.ts';
import { withoutMark } from './upstream-error.ts';

export interface EventBlock {
  /** As they came, with the blank line behind them. */
  readonly bytes: Uint8Array;
  /** Null where the block gives none: clients then read `message`. */
  readonly name: string | null;
  /** Without the field name; null where the block has no data (a comment). Broken UTF-8 has become U+FFFD. */
  readonly data: string | null;
  /** The form that every client reads: one `data: ` line with LF, in UTF-8. What is in another form is written anew. */
  readonly isPlain: boolean;
}

/** The byte order mark, and the first of its three bytes in UTF-8. */
const MARK = '\uFEFF';
const MARK_BYTE = 0xef;
const LF = 10;
const CR = 13;
const NOTHING = new Uint8Array();

/**
 * Line ends may be LF, CRLF or CR, and cuts may fall anywhere.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventBlocks {
  readonly #decoder = new TextDecoder();
  #held = NOTHING;
  #isAtLineStart = true;
  #isAfterCr = false;

  /** @throws BACKEND_FAILED when a block grows beyond MAX_UPSTREAM_EVENT_BYTES */
  push(chunk: Uint8Array): EventBlock[] {
    const blocks: EventBlock[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === LF || byte === CR) {
        const isSecondHalf = byte === LF && this.#isAfterCr;
        this.#isAfterCr = byte === CR;
        if (isSecondHalf) continue;
        if (this.#isAtLineStart) {
          // The line feed of a CRLF belongs to it; in the next chunk it begins the next block, which harms nobody.
          if (byte === CR && chunk[at + 1] === LF) {
            at++;
            this.#isAfterCr = false;
          }
          blocks.push(this.#block(chunk.subarray(start, at + 1)));
          start = at + 1;
        }
        this.#isAtLineStart = true;
      } else {
        this.#isAfterCr = false;
        this.#isAtLineStart = false;
      }
    }
    if (start < chunk.length) this.#held = joined(this.#held, chunk.subarray(start));
    return blocks;
  }

  /** What is left at the end of the stream: some servers leave out the last blank line. */
  end(): EventBlock | null {
    return this.#held.length === 0 ? null : this.#block(NOTHING);
  }

  #block(tail: Uint8Array): EventBlock {
    const bytes = joined(this.#held, tail);
    this.#held = NOTHING;
    const text = this.#decoder.decode(bytes);
    if (isPlain(text) && text[6] !== MARK) {
      // The decoder takes one mark away, and where a block is plain without it, its bytes are not.
      const isAsDecoded = bytes[0] !== MARK_BYTE && !text.includes('\uFFFD');
      return { bytes, name: null, data: text.slice(6, -2), isPlain: isAsDecoded };
    }
    return { bytes, ...fieldsOf(withoutMark(text)), isPlain: false };
  }
}

const isPlain = (text: string) =>
  text.startsWith('data: ') && text.indexOf('\n') === text.length - 2 && !text.includes('\r');

function fieldsOf(text: string): Pick<EventBlock, 'name' | 'data'> {
  let data: string | null = null;
  let name: string | null = null;
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, field, value = ''] = /^(data|event)(?:$|: ?(.*)$)/s.exec(line) ?? [];
    if (field === 'data') data = data === null ? value : `${data}\n${value}`;
    else if (field === 'event') name = value;
  }
  return { name: name || null, data: data === null ? null : withoutMark(data) };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = a.length + b.length;
  if (length > MAX_UPSTREAM_EVENT_BYTES) {
    throw new ShoalError(
      'BACKEND_FAILED',
      `the backend sent an event of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes; ask for fewer log probabilities or choices`,
    );
  }
  if (a.length === 0) return b as Uint8Array<ArrayBuffer>;
  const both = new Uint8Array(length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
