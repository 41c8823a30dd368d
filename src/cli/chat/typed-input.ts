/** Reads what is typed at a terminal: a line, a block in `"""`, a pasted text, and Ctrl-C in each of its meanings. */
import { createInterface, type Interface } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { PASTE_OFF, PASTE_ON, PasteStream } from './paste-stream.ts';

const FENCE = '"""';
const PROMPT = '> ';
const MORE = '… ';

export interface TypedInputOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  /** The newest first. */
  readonly history: readonly string[];
  readonly onLine: (line: string) => void;
}

export class TypedInput {
  readonly #keys: PasteStream;
  readonly #lines: Interface;
  readonly #output: WriteStream;
  readonly #takesPastes = process.env.TERM !== 'dumb';
  readonly #onExit = () => void this.#output.write(PASTE_OFF);
  readonly #waiting: string[] = [];
  #onEvent: (event: 'line' | 'interrupt' | 'close') => void = () => {};
  #isClosed = false;

  constructor({ input, output, history, onLine }: TypedInputOptions) {
    this.#output = output;
    this.#keys = new PasteStream((isRaw) => input.setRawMode(isRaw));
    input.setEncoding('utf8').pipe(this.#keys);
    this.#lines = createInterface({
      input: this.#keys,
      output,
      terminal: true,
      prompt: PROMPT,
      history: [...history],
      removeHistoryDuplicates: true,
    });
    this.#lines.on('line', (line) => {
      onLine(line);
      this.#waiting.push(line);
      this.#onEvent('line');
    });
    this.#lines.on('close', () => {
      this.#isClosed = true;
      this.#onEvent('close');
    });
    this.#lines.on('SIGINT', () => this.#onEvent('interrupt'));
    if (this.#takesPastes) {
      output.write(PASTE_ON);
      // However the process ends, the shell gets its terminal back as it was.
      process.once('exit', this.#onExit);
    }
  }

  /** @returns what was typed, in one or more lines; null at the end: Ctrl-D, or Ctrl-C where nothing is typed */
  async read(): Promise<string | null> {
    let block: string[] | null = null;
    for (;;) {
      const line = await this.#line(block === null ? PROMPT : MORE);
      if (line === null) return null;
      if (line === 'interrupted') {
        if (block === null && this.#lines.line === '') return null;
        block = null;
        this.#forgetLine();
        continue;
      }
      const { text } = line;
      if (block !== null) {
        if (!text.trimEnd().endsWith(FENCE)) block.push(text);
        else return [...block, text.trimEnd().slice(0, -FENCE.length)].join('\n').trim();
      } else if (text.trimStart().startsWith(FENCE)) {
        const rest = text.trim().slice(FENCE.length);
        if (rest.endsWith(FENCE)) return rest.slice(0, -FENCE.length).trim();
        block = rest === '' ? [] : [rest];
      } else return text;
    }
  }

  /** Ctrl-C aborts the signal meanwhile; other keys wait. */
  async whileBusy<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    this.#keys.hold(() => stop.abort());
    try {
      return await work(stop.signal);
    } finally {
      this.#keys.release();
    }
  }

  close(): void {
    this.#lines.close();
    if (!this.#takesPastes) return;
    process.off('exit', this.#onExit);
    this.#onExit();
  }

  async #line(prompt: string): Promise<{ readonly text: string } | 'interrupted' | null> {
    const next = this.#waiting.shift();
    if (next !== undefined) return { text: this.#keys.expand(next) };
    if (this.#isClosed) return null;
    this.#lines.setPrompt(prompt);
    this.#lines.prompt();
    const event = await new Promise<'line' | 'interrupt' | 'close'>((resolve) => {
      this.#onEvent = resolve;
    });
    this.#onEvent = () => {};
    if (event === 'interrupt') return 'interrupted';
    const line = this.#waiting.shift();
    return line === undefined ? null : { text: this.#keys.expand(line) };
  }

  /** As shells do. */
  #forgetLine(): void {
    // To the end, and what is before it is gone.
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#output.write('^C\n');
  }
}
