import { describe, expect, it } from 'vitest';
import { CacheApiTensorCache, type CacheLike } from '../../../src/model/fetch/tensor-cache.ts';

/** As strict as browsers are: no 206, only http(s) keys. */
class StrictCache implements CacheLike {
  readonly stored = new Map<string, Response>();

  async match(request: RequestInfo | URL): Promise<Response | undefined> {
    return this.stored.get(String(request))?.clone();
  }

  async put(request: RequestInfo | URL, response: Response): Promise<void> {
    if (response.status === 206) throw new TypeError('Partial response (status code 206) is unsupported');
    if (!/^https?:$/.test(new URL(String(request)).protocol)) throw new TypeError('scheme is unsupported');
    this.stored.set(String(request), response);
  }

  async delete(request: RequestInfo | URL): Promise<boolean> {
    return this.stored.delete(String(request));
  }
}

const key = 'ab'.repeat(32);
const bytes = Uint8Array.from([1, 2, 3, 255]);

describe('the Cache API as a tensor cache', () => {
  it('gives back what was put, until it is deleted', async () => {
    const cache = new CacheApiTensorCache(new StrictCache());
    expect(await cache.get(key)).toBeUndefined();
    await cache.put(key, bytes);
    expect(await cache.get(key)).toEqual(bytes);
    expect(await cache.get('cd'.repeat(32))).toBeUndefined();
    await cache.delete(key);
    expect(await cache.get(key)).toBeUndefined();
  });

  it('bears a full disk and a broken cache', async () => {
    const fail = async (): Promise<never> => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    const cache = new CacheApiTensorCache({ match: fail, put: fail, delete: fail });
    await expect(cache.put(key, bytes)).resolves.toBeUndefined();
    await expect(cache.get(key)).resolves.toBeUndefined();
    await expect(cache.delete(key)).resolves.toBeUndefined();
  });

  it('is none where the platform has none or refuses it', async () => {
    expect(await CacheApiTensorCache.open(undefined)).toBeUndefined();
    const open = async (): Promise<never> => {
      throw new DOMException('no', 'SecurityError');
    };
    expect(await CacheApiTensorCache.open({ open })).toBeUndefined();
  });
});
