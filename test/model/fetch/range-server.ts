/** An HTTP file server in memory, as a `fetch`, that counts and can be told to misbehave. */
import type { Fetch } from '../../../src/model/fetch/range-download.ts';

export interface ServedRequest {
  readonly url: string;
  readonly start: number;
  readonly end: number;
  readonly cache: RequestCache | undefined;
  /** Body bytes that left the server. */
  sent: number;
}

export type Fault =
  | { readonly type: 'status'; readonly status: number }
  /** The body breaks with an error after so many bytes. */
  | { readonly type: 'break'; readonly afterBytes: number }
  /** The body ends, as if whole, after so many bytes. */
  | { readonly type: 'short'; readonly afterBytes: number }
  /** fetch itself fails, as without a network. */
  | { readonly type: 'refuse' }
  /** The body never says anything. */
  | { readonly type: 'hang' }
  /** Content-Range of another place. */
  | { readonly type: 'wrong-range' }
  | { readonly type: 'flip-byte'; readonly at: number };

const CHUNK_BYTES = 1000;

export class RangeServer {
  readonly requests: ServedRequest[] = [];
  /** Bytes asked for by Range headers. */
  get bytesRequested(): number {
    return this.requests.reduce((sum, { start, end }) => sum + end - start, 0);
  }
  /** Taken one a request, in order. */
  readonly faults: (Fault | undefined)[] = [];
  ignoresRange = false;
  hidesLength = false;

  readonly #files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

  constructor(files: Record<string, Uint8Array<ArrayBuffer>>) {
    this.#files = new Map(Object.entries(files));
  }

  readonly fetch: Fetch = async (url, init) => {
    const file = this.#files.get(decodeURIComponent(url.split('/').at(-1) ?? ''));
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init.headers).get('range') ?? '') ?? [];
    const start = Number(first);
    const end = Number(last) + 1;
    const request: ServedRequest = { url, start, end, cache: init.cache, sent: 0 };
    this.requests.push(request);
    const fault = this.faults.shift();
    init.signal?.throwIfAborted();
    if (fault?.type === 'refuse') throw new TypeError('fetch failed');
    if (fault?.type === 'status') return new Response('no', { status: fault.status });
    if (!file) return new Response('no', { status: 404, statusText: 'Not Found' });
    if (start >= file.length) return new Response(null, { status: 416 });

    const wanted = this.ignoresRange ? file.slice() : file.slice(start, end);
    if (fault?.type === 'flip-byte') wanted[fault.at] = (wanted[fault.at] ?? 0) ^ 1;
    const headers: Record<string, string> = this.hidesLength
      ? {}
      : { 'content-length': String(wanted.length) };
    if (!this.ignoresRange) {
      const from = fault?.type === 'wrong-range' ? start + 1 : start;
      headers['content-range'] = `bytes ${from}-${end - 1}/${file.length}`;
    }
    return new Response(body(wanted, fault, request, init.signal ?? undefined), {
      status: this.ignoresRange ? 200 : 206,
      headers,
    });
  };
}

function body(
  bytes: Uint8Array<ArrayBuffer>,
  fault: Fault | undefined,
  request: ServedRequest,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const cut = fault?.type === 'break' || fault?.type === 'short' ? fault.afterBytes : bytes.length;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        signal?.addEventListener('abort', () => controller.error(signal.reason));
      },
      async pull(controller) {
        if (fault?.type === 'hang') return new Promise(() => {});
        if (request.sent >= cut) {
          if (fault?.type === 'break') controller.error(new TypeError('terminated'));
          else controller.close();
          return;
        }
        const part = bytes.slice(request.sent, Math.min(cut, request.sent + CHUNK_BYTES));
        request.sent += part.length;
        controller.enqueue(part);
      },
    },
    // Nothing is made before it is read, so that `sent` is what the client took.
    { highWaterMark: 0 },
  );
}

/** A clock that only records: pauses pass at once, deadlines never come. */
export function recordedSleep(deadlineMs: number) {
  const pauses: number[] = [];
  const sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    if (ms !== deadlineMs) {
      pauses.push(ms);
      return Promise.resolve();
    }
    return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
  };
  return { sleep, pauses };
}
