/** The weights of one shard, from the network or the cache, each tensor checked before it is handed on. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_TENSOR_BYTES } from '../../config/limits.ts';
import { isPlainFileName } from '../file-name.ts';
import { type Sleep, sleepWithTimer } from '../sleep.ts';
import { tensorFileBytes } from '../tensors.ts';
import type { LoadedTensor, TensorEntry, WeightManifest } from './manifest.ts';
import { downloadRange, type Fetch } from './range-download.ts';
import { type FileRun, type PlannedTensor, planRuns } from './range-plan.ts';
import type { TensorCache } from './tensor-cache.ts';

export interface LoadShardOptions {
  /** Lists exactly the tensors to load (`checkManifest` tells whether it fits a shard). */
  readonly manifest: WeightManifest;
  /** URL of the folder that holds the manifest's files, with or without a closing slash. */
  readonly filesUrl: string;
  readonly fetch: Fetch;
  readonly cache?: TensorCache | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** The clock of pauses and deadlines; a timer unless a test gives another. */
  readonly sleep?: Sleep | undefined;
}

export interface LoadProgress {
  /** `download`: bytes of tensors received (cache included); `verify`: bytes whose hash was found right. */
  readonly phase: 'download' | 'verify';
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Iterate once. Tensors found in the cache come first, then the others in the order of their bytes. */
export interface ShardLoad extends AsyncIterable<LoadedTensor> {
  readonly bytesTotal: number;
  /** Body bytes taken from the network so far: tensors, the gaps between coalesced ones, and whatever was fetched again. */
  readonly bytesFromNetwork: number;
  readonly bytesFromCache: number;
}

/**
 * @throws (from the iteration) DOWNLOAD_FAILED, TENSOR_HASH, TENSOR_SHAPE (the manifest contradicts itself), ABORTED,
 *   NO_SECURE_CONTEXT (no crypto.subtle, so nothing can be checked)
 */
export function loadShard(options: LoadShardOptions): ShardLoad {
  const load = new Load(options);
  return {
    [Symbol.asyncIterator]: () => load.run(),
    bytesTotal: load.bytesTotal,
    get bytesFromNetwork() {
      return load.bytesFromNetwork;
    },
    get bytesFromCache() {
      return load.bytesFromCache;
    },
  };
}

class Load {
  readonly #options: LoadShardOptions;
  readonly #tensors: readonly PlannedTensor[];
  readonly bytesTotal: number;
  bytesFromNetwork = 0;
  bytesFromCache = 0;
  #downloaded = 0;
  #verified = 0;

  constructor(options: LoadShardOptions) {
    this.#options = options;
    this.#tensors = Object.entries(options.manifest.tensors).map(([name, entry]) => ({ name, entry }));
    for (const { name, entry } of this.#tensors) checkEntry(name, entry);
    this.bytesTotal = this.#tensors.reduce((sum, { entry }) => sum + entry.end - entry.start, 0);
  }

  async *run(): AsyncGenerator<LoadedTensor, void, undefined> {
    const missing: PlannedTensor[] = [];
    for (const tensor of this.#tensors) {
      this.#throwIfAborted();
      const bytes = await this.#cached(tensor);
      if (bytes === undefined) missing.push(tensor);
      else yield loaded(tensor, bytes);
    }
    for (const run of planRuns(missing)) yield* this.#download(run);
  }

  async #cached({ entry }: PlannedTensor): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { cache } = this.#options;
    const bytes = await cache?.get(entry.sha256);
    if (bytes === undefined) return undefined;
    if (bytes.length !== entry.end - entry.start || (await sha256Hex(bytes)) !== entry.sha256) {
      await cache?.delete(entry.sha256);
      return undefined;
    }
    this.bytesFromCache += bytes.length;
    this.#count('download', bytes.length);
    this.#count('verify', bytes.length);
    return bytes;
  }

  async *#download(run: FileRun): AsyncGenerator<LoadedTensor, void, undefined> {
    const pending = [...run.tensors];
    let position = run.start;
    let filling: Uint8Array<ArrayBuffer> | undefined;
    for await (const chunk of this.#network(run.file, run.start, run.end)) {
      let used = 0;
      while (used < chunk.length) {
        const tensor = pending[0];
        if (!tensor) break;
        const { start, end } = tensor.entry;
        if (position < start) {
          // The gap before a coalesced tensor.
          const gap = Math.min(start - position, chunk.length - used);
          used += gap;
          position += gap;
          continue;
        }
        filling ??= new Uint8Array(end - start);
        const part = chunk.subarray(used, used + end - position);
        filling.set(part, position - start);
        used += part.length;
        position += part.length;
        this.#count('download', part.length);
        if (position === end) {
          pending.shift();
          const bytes = filling;
          filling = undefined;
          yield loaded(tensor, await this.#check(tensor, bytes));
        }
      }
    }
  }

  /** Hash checked; a wrong one is fetched once more, past caches that may have kept it. */
  async #check(tensor: PlannedTensor, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { name, entry } = tensor;
    let checked = bytes;
    let got = await sha256Hex(checked);
    if (got !== entry.sha256) {
      checked = new Uint8Array(entry.end - entry.start);
      let filled = 0;
      for await (const chunk of this.#network(entry.file, entry.start, entry.end, 'reload')) {
        checked.set(chunk, filled);
        filled += chunk.length;
      }
      got = await sha256Hex(checked);
    }
    if (got !== entry.sha256) {
      throw new ShoalError(
        'TENSOR_HASH',
        `tensor "${name}" in ${entry.file} should hash to ${entry.sha256}, got ${got} twice; the file differs from the server's manifest: start the server again, or download the model again`,
        { param: name },
      );
    }
    this.#count('verify', checked.length);
    await this.#options.cache?.put(entry.sha256, checked);
    this.#throwIfAborted();
    return checked;
  }

  #network(
    file: string,
    start: number,
    end: number,
    cache?: RequestCache,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const { filesUrl, fetch, signal, sleep = sleepWithTimer } = this.#options;
    const url = `${filesUrl.endsWith('/') ? filesUrl : `${filesUrl}/`}${encodeURIComponent(file)}`;
    const onBytes = (bytes: number) => {
      this.bytesFromNetwork += bytes;
    };
    return downloadRange(url, start, end, {
      fetch,
      signal,
      sleep,
      onBytes,
      ...(cache === undefined ? {} : { cache }),
    });
  }

  #count(phase: LoadProgress['phase'], bytes: number): void {
    if (phase === 'download') this.#downloaded += bytes;
    else this.#verified += bytes;
    const bytesDone = phase === 'download' ? this.#downloaded : this.#verified;
    this.#options.onProgress?.({ phase, bytesDone, bytesTotal: this.bytesTotal });
  }

  #throwIfAborted(): void {
    const { signal, manifest } = this.#options;
    if (signal.aborted) {
      throw new ShoalError('ABORTED', `loading ${manifest.model} was stopped`, { cause: signal.reason });
    }
  }
}

function loaded({ name, entry }: PlannedTensor, bytes: Uint8Array<ArrayBuffer>): LoadedTensor {
  return { name, dtype: entry.dtype, shape: entry.shape, bytes };
}

/** Before anything of the claimed size is allocated. */
function checkEntry(name: string, entry: TensorEntry): void {
  const { file, start, end, dtype, shape } = entry;
  const claimed = end - start;
  const needed = tensorFileBytes(shape, dtype);
  if (claimed !== needed || claimed > MAX_TENSOR_BYTES) {
    throw new ShoalError(
      'TENSOR_SHAPE',
      `tensor "${name}" (${dtype}, shape [${shape.join(', ')}]) needs ${needed} bytes, the manifest gives it ${claimed}; at most ${MAX_TENSOR_BYTES} are taken`,
      { param: name },
    );
  }
  if (!isPlainFileName(file)) {
    throw new ShoalError(
      'DOWNLOAD_FAILED',
      `tensor "${name}" lies in "${file.slice(0, 80)}"; only the plain name of a file beside the manifest is allowed`,
      { param: name },
    );
  }
}

async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Typed as always there; browsers leave it out of insecure contexts.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined) {
    throw new ShoalError(
      'NO_SECURE_CONTEXT',
      'weights cannot be checked: this page is not a secure context; open it over https or from localhost',
    );
  }
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
