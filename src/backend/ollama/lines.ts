const NEWLINE = 10;

/** Newline-delimited JSON (https://github.com/ndjson/ndjson-spec) from chunks that end anywhere, in a character too. */
export class Lines {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder();
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** @param maxBytes of one line; what is held never exceeds it by more than a chunk */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @returns the lines that `chunk` completes, blank ones left out; bytes that are no UTF-8 become U+FFFD
   * @throws RangeError when a line is too long; those before it have been given
   */
  *push(chunk: Uint8Array): Generator<string> {
    let rest = chunk;
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      this.#hold(rest.subarray(0, at));
      rest = rest.subarray(at + 1);
      const line = this.end();
      if (line !== '') yield line;
    }
    this.#hold(rest);
  }

  /** The last line, if it came without its newline; else an empty text. */
  end(): string {
    const line =
      this.#parts.map((part) => this.#decoder.decode(part, { stream: true })).join('') +
      this.#decoder.decode();
    this.#parts = [];
    this.#bytes = 0;
    return line.trim();
  }

  #hold(part: Uint8Array): void {
    if (part.byteLength === 0) return;
    this.#bytes += part.byteLength;
    if (this.#bytes > this.#maxBytes) throw new RangeError(`a line of more than ${this.#maxBytes} bytes`);
    this.#parts.push(part);
  }
}
