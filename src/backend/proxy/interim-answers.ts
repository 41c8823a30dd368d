/**
 * A "100 Continue" that nobody asked for is skipped like any other interim answer (RFC 9110 §15.2). undici ends the connection
 * for it, and for no other: so it is shown as a 102, before undici reads it. Node.js only. Delete this once undici skips it
 * (`onHeadersComplete` in its client-h1.js, 7.30).
 */
import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';

const CR = 13;
const LF = 10;
const ZERO = 48;
const ONE = 49;
const TWO = 50;
/** Where the status stands in `HTTP/1.1 100 Continue`. */
const STATUS_AT = 'HTTP/1.1 '.length;

export function skippingContinue(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      const [error, socket] = result;
      // Where it failed, undici gives no socket, whatever its types say.
      if (error === null && socket !== null) watch(socket);
      callback(...result);
    });
}

function watch(socket: Socket): void {
  const answers = new InterimAnswers();
  const { read, write } = socket;
  socket.read = (size) => {
    const bytes = read.call(socket, size);
    if (bytes !== null) answers.mend(bytes);
    return bytes;
  };
  // Requests go one at a time: what is written begins one, and what comes then begins its answer.
  socket.write = ((...args: Parameters<typeof write>) => {
    answers.begin();
    return write.apply(socket, args);
  }) as typeof socket.write;
}

export class InterimAnswers {
  /** Bytes of the status line that have come, as far as they matter; null behind the head of the answer itself. */
  #at: number | null = 0;
  #status: number[] = [];
  /** In an interim answer's head: bytes of the line. */
  #line = 0;

  /** The next byte is the first of an answer. */
  begin(): void {
    this.#at = 0;
    this.#status = [];
  }

  /** Changes `bytes` in place. */
  mend(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length && this.#at !== null; i++) {
      if (this.#at < STATUS_AT + 3) this.#readStatus(bytes, i);
      else if (bytes[i] === LF) {
        if (this.#line === 0) this.begin();
        this.#line = 0;
      } else if (bytes[i] !== CR) this.#line++;
    }
  }

  #readStatus(bytes: Uint8Array, i: number): void {
    const at = this.#at!;
    this.#at = at + 1;
    if (at < STATUS_AT) return;
    const [hundreds, tens] = this.#status;
    if (at === STATUS_AT + 2 && hundreds === ONE && tens === ZERO && bytes[i] === ZERO) bytes[i] = TWO;
    this.#status.push(bytes[i]!);
    if (at < STATUS_AT + 2) return;
    if (hundreds === ONE) this.#line = 1;
    else this.#at = null;
  }
}
