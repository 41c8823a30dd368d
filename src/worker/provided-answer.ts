/** One answer on its way from a lent backend to the server: read and sent only as the server's credit allows. */
import { ShoalError } from '../config/errors.ts';
import { PROVIDE_CHUNK_BYTES } from '../config/limits.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class Credit {
  readonly #signal: AbortSignal;
  #bytes: number;
  #wake: () => void = () => {};

  /** @param signal ends the waiting */
  constructor(bytes: number, signal: AbortSignal) {
    this.#bytes = bytes;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#wake();
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Waits until at least `bytes` may be sent. @throws the signal's reason */
  async atLeast(bytes: number): Promise<void> {
    while (this.#bytes < bytes && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.throwIfAborted();
  }
}

/**
 * Sends `body` piece by piece, each within the credit and never cut inside a character.
 * @param rewrite called with what each read gave
 * @throws what reading throws; the signal's reason
 */
export async function sendBody(
  body: ReadableStream<Uint8Array>,
  credit: Credit,
  signal: AbortSignal,
  rewrite: (text: string) => string,
  send: (text: string) => void,
): Promise<void> {
  const reader = body.getReader();
  const text = new TextDecoder('utf-8', { ignoreBOM: true });
  // A read that waits ends at once; whether the stream's source listens to the signal is not known here.
  const cancel = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      // Before reading: a slow client slows the backend down.
      await credit.atLeast(1);
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      await sendText(rewrite(text.decode(value, { stream: !done })), credit, send);
      if (done) return;
    }
  } catch (thrown) {
    reader.cancel(thrown).catch(() => {});
    throw thrown;
  }
}

async function sendText(text: string, credit: Credit, send: (text: string) => void): Promise<void> {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; ) {
    // The longest character has four bytes.
    await credit.atLeast(Math.min(4, bytes.length - at));
    const end = characterEnd(bytes, at, Math.min(credit.bytes, PROVIDE_CHUNK_BYTES));
    credit.spend(end - at);
    send(at === 0 && end === bytes.length ? text : decoder.decode(bytes.subarray(at, end)));
    at = end;
  }
}

/** The last end of a character in `bytes` at most `length` after `at`. */
function characterEnd(bytes: Uint8Array, at: number, length: number): number {
  let end = Math.min(at + length, bytes.length);
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
  if (end <= at) throw new ShoalError('INTERNAL', `no character ends within ${length} B of credit`);
  return end;
}
