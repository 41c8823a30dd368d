/**
 * A terminal's keys on their way to readline. What is pasted comes in brackets (DECSET 2004); a pasted text of several lines
 * becomes one word on the line, `[pasted 1: 12 lines]`, instead of a question a line. While an answer is on its way keys
 * wait, and only Ctrl-C is heard.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { printableLines } from '../printable.ts';

const BEGIN = '\x1b[200~';
const END = '\x1b[201~';
const CTRL_C = '\x03';

/** For the terminal: put pasted text in brackets, and no more. */
export const PASTE_ON = '\x1b[?2004h';
export const PASTE_OFF = '\x1b[?2004l';

export class PasteStream extends Transform {
  /** What readline looks for to read key by key. */
  readonly isTTY = true;
  readonly #pasted: string[] = [];
  readonly #setRawMode: (isRaw: boolean) => void;
  #pending = '';
  #inPaste = false;
  #onInterrupt: (() => void) | null = null;
  #held = '';

  constructor(setRawMode: (isRaw: boolean) => void) {
    super({ decodeStrings: false, encoding: 'utf8' });
    this.#setRawMode = setRawMode;
  }

  setRawMode(isRaw: boolean): this {
    this.#setRawMode(isRaw);
    return this;
  }

  /** Keys wait from now on. */
  hold(onInterrupt: () => void): void {
    this.#onInterrupt = onInterrupt;
  }

  /** What was typed meanwhile is read now. */
  release(): void {
    this.#onInterrupt = null;
    const held = this.#held;
    this.#held = '';
    this.#take(held);
  }

  /** The line with the texts that its marks stand for. */
  expand(line: string): string {
    return line.replaceAll(/\[pasted (\d+): \d+ lines\]/g, (mark, number) => {
      const text = this.#pasted[Number(number) - 1];
      return text !== undefined && markOf(Number(number), text) === mark ? text : mark;
    });
  }

  override _transform(chunk: string | Buffer, _: BufferEncoding, done: TransformCallback): void {
    const keys = String(chunk);
    if (this.#onInterrupt === null) this.#take(keys);
    else if (keys.includes(CTRL_C)) {
      // Who stops an answer does not want what was typed before it either.
      this.#held = keys.slice(keys.lastIndexOf(CTRL_C) + 1);
      this.#onInterrupt();
    } else this.#held += keys;
    done();
  }

  #take(keys: string): void {
    this.#pending += keys;
    for (;;) {
      const mark = this.#inPaste ? END : BEGIN;
      const at = this.#pending.indexOf(mark);
      if (at >= 0) {
        const before = this.#pending.slice(0, at);
        this.#pending = this.#pending.slice(at + mark.length);
        if (this.#inPaste) this.#paste(before);
        else this.push(before);
        this.#inPaste = !this.#inPaste;
        continue;
      }
      if (this.#inPaste) return;
      // A mark may come in two pieces. A lone escape is a key.
      const kept = [5, 4, 3].find((length) => this.#pending.endsWith(BEGIN.slice(0, length))) ?? 0;
      const ready = this.#pending.slice(0, this.#pending.length - kept);
      this.#pending = this.#pending.slice(ready.length);
      if (ready !== '') this.push(ready);
      return;
    }
  }

  #paste(raw: string): void {
    const text = printableLines(raw.replaceAll(/\r\n?/g, '\n')).replace(/\n+$/, '');
    if (!text.includes('\n')) {
      this.push(text.replaceAll('\t', ' '));
      return;
    }
    this.#pasted.push(text);
    this.push(markOf(this.#pasted.length, text));
  }
}

const markOf = (number: number, text: string) => `[pasted ${number}: ${text.split('\n').length} lines]`;
