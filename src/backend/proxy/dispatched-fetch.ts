/**
 * Requests to a backend straight over undici's dispatcher. Its `fetch` builds a Request, two streams and a Response around
 * each, which costs a third of what a small request costs altogether. Node.js only.
 */
import { Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Dispatcher } from 'undici';
import type { BodyReader, UpstreamFetch, UpstreamInit, UpstreamResponse } from './upstream-fetch.ts';

type Read = Awaited<ReturnType<BodyReader['read']>>;
type IncomingHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

/** Errors are those of `fetch`: a TypeError with the reason in its chain of causes, or the signal's own reason. */
export function createDispatchedFetch(dispatcher: Dispatcher): UpstreamFetch {
  return (url, init) =>
    new Promise((resolve, reject) => {
      const { origin, pathname, search } = new URL(url);
      const { method, headers, body = null } = init;
      dispatcher.dispatch(
        { origin, path: pathname + search, method, headers: { 'user-agent': 'shoal', ...headers }, body },
        new Incoming(init, resolve, reject),
      );
    });
}

/** One response as it comes. The connection is paused while a part of it waits to be read. */
class Incoming implements Dispatcher.DispatchHandler, BodyReader {
  readonly #signal: AbortSignal;
  readonly #resolve: (response: UpstreamResponse) => void;
  readonly #reject: (error: unknown) => void;
  readonly #chunks: Uint8Array[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #waiting: { resolve: (read: Read) => void; reject: (error: unknown) => void } | undefined;
  #isEnded = false;
  #error: unknown;

  constructor(
    { signal }: UpstreamInit,
    resolve: (response: UpstreamResponse) => void,
    reject: (error: unknown) => void,
  ) {
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) this.#onAbort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isEnded) controller.abort(this.#reason());
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHeaders): void {
    // "Continue" and the like go before the answer.
    if (status < 200) return;
    const get = (name: string) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : (value ?? null);
    };
    const reader = decoded(this, get('content-encoding'));
    this.#resolve({
      status,
      ok: status < 300,
      type: 'default',
      headers: { get },
      body: { getReader: () => reader },
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    // The parser says this when it is resumed and has nothing; pausing for it would go on forever.
    if (chunk.length === 0) return;
    if (this.#waiting === undefined) {
      this.#chunks.push(chunk);
      controller.pause();
    } else this.#settle()!.resolve({ done: false, value: chunk });
  }

  onResponseEnd(): void {
    this.#end();
    this.#settle()?.resolve({ done: true });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(new TypeError('fetch failed', { cause: error }));
  }

  async read(): Promise<Read> {
    const value = this.#chunks.shift();
    if (value !== undefined) {
      if (this.#chunks.length === 0) this.#controller?.resume();
      return { done: false, value };
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#isEnded) return { done: true };
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async cancel(): Promise<void> {
    if (this.#isEnded) return;
    this.#end();
    this.#chunks.length = 0;
    this.#settle()?.resolve({ done: true });
    this.#controller?.abort(this.#reason());
  }

  readonly #onAbort = () => {
    if (this.#isEnded) return;
    // What was not read yet is not wanted any more.
    this.#chunks.length = 0;
    this.#fail(this.#signal.reason);
    this.#controller?.abort(this.#reason());
  };

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#end();
    this.#error = error;
    this.#settle()?.reject(error);
    // Of no effect once the headers were there.
    this.#reject(error);
  }

  #end(): void {
    this.#isEnded = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  #settle() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  #reason(): Error {
    const { reason } = this.#signal;
    return reason instanceof Error ? reason : CANCELLED;
  }
}

/** Made once: a stack trace costs as much as the rest of a hang-up. */
const CANCELLED = new Error('the response is not wanted any more');

/** Each event comes out as soon as it is in. */
const SYNC = { flush: constants.Z_SYNC_FLUSH };

/** Some servers compress although they are asked not to. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGunzip(SYNC),
  'x-gzip': () => createGunzip(SYNC),
  deflate: () => createInflate(SYNC),
  br: () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
};

function decoded(reader: BodyReader, encoding: string | null): BodyReader {
  const decoder = DECODERS[encoding?.toLowerCase() ?? '']?.();
  if (decoder === undefined) return reader;
  const source = Readable.from(chunksOf(reader));
  source.on('error', (error) => decoder.destroy(error)).pipe(decoder);
  // The next read throws it; before that, and where nobody reads, it would end the process.
  decoder.on('error', () => {});
  const parts: AsyncIterator<Uint8Array, undefined> = decoder[Symbol.asyncIterator]();
  return {
    async read() {
      const part = await parts.next();
      return part.done ? { done: true } : { done: false, value: part.value };
    },
    async cancel() {
      decoder.destroy();
      await reader.cancel();
    },
  };
}

async function* chunksOf(reader: BodyReader): AsyncGenerator<Uint8Array> {
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}
