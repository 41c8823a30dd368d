/** Bytes of one file by HTTP ranges, in order, across broken connections. */
import { ShoalError } from '../../config/errors.ts';
import {
  DOWNLOAD_RETRY_MS,
  DOWNLOAD_STALL_MS,
  MAX_DOWNLOAD_ATTEMPTS,
  MAX_RANGE_BYTES,
} from '../../config/limits.ts';
import type { Sleep } from '../sleep.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface RangeDownloadOptions {
  readonly fetch: Fetch;
  readonly sleep: Sleep;
  readonly signal: AbortSignal;
  /** `reload` goes past the browser's HTTP cache. */
  readonly cache?: RequestCache;
  /** What the whole file should have; an answer that says otherwise is of another file. */
  readonly fileBytes?: number;
  /** Called with the size of every piece that came, wanted or not. */
  readonly onBytes?: (bytes: number) => void;
}

/** Trying again cannot help: the answer would be the same. */
class FinalFailure extends Error {}

/**
 * Yields the bytes [start, end) of `url` in order. Asks for at most MAX_RANGE_BYTES at once; what broke is asked for again from
 * the byte reached, at most MAX_DOWNLOAD_ATTEMPTS times a range, with doubling pauses.
 *
 * @throws DOWNLOAD_FAILED, ABORTED
 */
export async function* downloadRange(
  url: string,
  start: number,
  end: number,
  options: RangeDownloadOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let rangeStart = start; rangeStart < end; rangeStart += MAX_RANGE_BYTES) {
    yield* downloadOne(url, rangeStart, Math.min(end, rangeStart + MAX_RANGE_BYTES), options);
  }
}

async function* downloadOne(
  url: string,
  start: number,
  end: number,
  options: RangeDownloadOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  let position = start;
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const bytes of request(url, position, end, options)) {
        position += bytes.length;
        yield bytes;
      }
      if (position === end) return;
      throw new Error(`the connection ended at byte ${position} of [${start}, ${end})`);
    } catch (error) {
      throwIfAborted(options.signal, url);
      const isFinal = error instanceof FinalFailure || error instanceof ShoalError;
      if (isFinal || attempt >= MAX_DOWNLOAD_ATTEMPTS) {
        throw failure(url, error, attempt);
      }
    }
    await options.sleep(DOWNLOAD_RETRY_MS * 2 ** (attempt - 1), options.signal);
    throwIfAborted(options.signal, url);
  }
}

/** One request's bytes of [start, end): exactly those, or fewer when the connection ends early. */
async function* request(
  url: string,
  start: number,
  end: number,
  options: RangeDownloadOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  throwIfAborted(options.signal, url);
  // By itself: a browser's fetch called as a method of `options` is an "Illegal invocation".
  const { fetch } = options;
  const stop = new AbortController();
  const onAbort = () => stop.abort(options.signal.reason);
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const response = await inTime(
      fetch(url, {
        headers: { range: `bytes=${start}-${end - 1}` },
        signal: stop.signal,
        ...(options.cache === undefined ? {} : { cache: options.cache }),
      }),
      options.sleep,
      stop,
    );
    checkFileBytes(response, options.fileBytes);
    const skip = bytesToSkip(response, start, end);
    yield* body(response, skip, end - start, options, stop);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    // Also ends a body that was left before its end.
    stop.abort();
  }
}

/** @throws FinalFailure */
function checkFileBytes({ status, headers }: Response, expected: number | undefined): void {
  if (expected === undefined || headers.has('content-encoding')) return;
  const total =
    status === 206
      ? /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
      : status === 200
        ? headers.get('content-length')
        : null;
  if (total == null || Number(total) === expected) return;
  throw new FinalFailure(
    `the file should have ${expected} bytes, and the server that sends it says ${total}; is it a mirror of another version?`,
  );
}

/** How many bytes of the body come before the wanted ones. */
function bytesToSkip(response: Response, start: number, end: number): number {
  if (response.status === 206) {
    // Absent across origins that do not expose it; the hash decides then.
    const range = response.headers.get('content-range');
    const firstByte = range === null ? start : Number(/^bytes (\d+)-/.exec(range)?.[1]);
    if (firstByte === start) return 0;
    throw new FinalFailure(`bytes from ${start} were asked for, the answer says content-range "${range}"`);
  }
  if (response.status === 200) {
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    if (end <= MAX_RANGE_BYTES && length <= MAX_RANGE_BYTES) return start;
    throw new FinalFailure(
      `the server ignores Range and would send ${Number.isNaN(length) ? 'an unknown number of' : length} bytes for ${end - start}, at most ${MAX_RANGE_BYTES} are taken that way; serve the files from a server that answers ranges`,
    );
  }
  const says = `HTTP ${response.status}${response.statusText === '' ? '' : ` ${response.statusText}`}`;
  const isTransient = response.status >= 500 || response.status === 408 || response.status === 429;
  throw isTransient ? new Error(says) : new FinalFailure(says);
}

async function* body(
  response: Response,
  skip: number,
  wanted: number,
  { sleep, onBytes }: RangeDownloadOptions,
  stop: AbortController,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) throw new Error('the answer has no body');
  let skipped = 0;
  let given = 0;
  try {
    while (given < wanted) {
      const { done, value } = await inTime(reader.read(), sleep, stop);
      if (done) return;
      onBytes?.(value.length);
      const from = Math.min(value.length, skip - skipped);
      skipped += from;
      const bytes = value.subarray(from, from + wanted - given);
      given += bytes.length;
      if (bytes.length > 0) yield bytes;
    }
  } finally {
    // A server that sends more than was asked for is cut off here.
    await reader.cancel().catch(() => {});
  }
}

/** Rejects when `work` takes longer than DOWNLOAD_STALL_MS: a connection that is open but silent would wait for ever. */
async function inTime<T>(work: Promise<T>, sleep: Sleep, stop: AbortController): Promise<T> {
  const done = new AbortController();
  const stalled = sleep(DOWNLOAD_STALL_MS, done.signal).then(() => {
    if (done.signal.aborted) return new Promise<never>(() => {});
    const error = new Error(`no byte came for ${DOWNLOAD_STALL_MS / 1000} s`);
    stop.abort(error);
    throw error;
  });
  try {
    return await Promise.race([work, stalled]);
  } finally {
    done.abort();
  }
}

function throwIfAborted(signal: AbortSignal, url: string): void {
  if (signal.aborted) {
    throw new ShoalError('ABORTED', `the download of ${shownUrl(url)} was stopped`, { cause: signal.reason });
  }
}

function failure(url: string, error: unknown, attempts: number): ShoalError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ShoalError(
    'DOWNLOAD_FAILED',
    `${shownUrl(url)} could not be downloaded (${attempts} of at most ${MAX_DOWNLOAD_ATTEMPTS} tries): ${reason}`,
    { cause: error },
  );
}

/** Without a query, which may carry a token. */
function shownUrl(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}
