/** Tensors kept across reloads, by content: a tensor's SHA-256 is its key, so a changed model never meets old bytes. */
export interface TensorCache {
  /** @returns the bytes as stored, which the caller checks again; undefined when absent or unreadable */
  get(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Stores or, when there is no room, quietly does not: a cache may only ever save time. */
  put(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  delete(sha256: string): Promise<void>;
}

/** The part of the Cache API that is used; tests give their own. */
export type CacheLike = Pick<Cache, 'match' | 'put' | 'delete'>;

const CACHE_NAME = 'shoal-tensors-v1';

/**
 * The browser's Cache API. It refuses 206 responses, so each tensor is stored whole as a 200 response under a URL
 * made from its hash (`.invalid` is reserved, RFC 2606: no request can ever go there).
 */
export class CacheApiTensorCache implements TensorCache {
  readonly #cache: CacheLike;

  constructor(cache: CacheLike) {
    this.#cache = cache;
  }

  /** @returns undefined where the platform has no cache (insecure context, Node) or refuses it (private windows) */
  static async open(caches: Pick<CacheStorage, 'open'> | undefined): Promise<TensorCache | undefined> {
    try {
      return caches && new CacheApiTensorCache(await caches.open(CACHE_NAME));
    } catch {
      return undefined;
    }
  }

  async get(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const response = await this.#cache.match(cacheUrl(sha256));
      return response && new Uint8Array(await response.arrayBuffer());
    } catch {
      return undefined;
    }
  }

  async put(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#cache.put(
        cacheUrl(sha256),
        new Response(bytes, { status: 200, headers: { 'content-length': String(bytes.length) } }),
      );
    } catch {
      // QuotaExceededError, or a cache that vanished: the tensor is fetched again next time.
    }
  }

  async delete(sha256: string): Promise<void> {
    try {
      await this.#cache.delete(cacheUrl(sha256));
    } catch {
      // An entry that cannot be deleted fails its hash check again, and is fetched again.
    }
  }
}

function cacheUrl(sha256: string): string {
  return `https://tensor.invalid/sha256/${sha256}`;
}
