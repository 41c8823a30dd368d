import { ShoalError } from '../../config/errors.ts';
import { MAX_RATED_CLIENTS } from '../../config/limits.ts';
import { BoundedMap } from '../../mesh/bounded-map.ts';
import { TokenBucket } from '../token-bucket.ts';

interface Rated {
  readonly perMinute: number;
  readonly bucket: TokenBucket;
}

/**
 * How many requests each client has left: a minute's worth at once, refilled evenly.
 *
 * At the bound the client that was silent longest is forgotten, and is new when it comes back. That gives nobody a
 * cheap fresh start: whoever asks often is never the most silent, and to push himself out he would need requests from as
 * many other addresses as the bound, each of which has a minute's worth of its own anyway.
 */
export class RequestRates {
  readonly #clients = new BoundedMap<string, Rated>(MAX_RATED_CLIENTS);
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * @param client a key's name, an address
   * @throws RATE_LIMITED with the seconds until the next request may come
   */
  take(client: string, perMinute: number, what = 'requests'): void {
    const now = this.#now();
    const known = this.#clients.get(client);
    const rated =
      known?.perMinute === perMinute
        ? known
        : { perMinute, bucket: new TokenBucket(perMinute / 60, perMinute, now) };
    // Last in line to be forgotten.
    this.#clients.set(client, rated);
    if (rated.bucket.take(now)) return;
    const seconds = Math.max(1, Math.ceil(rated.bucket.waitSeconds(now)));
    throw new ShoalError(
      'RATE_LIMITED',
      `more than ${perMinute} ${what} a minute; try again in ${seconds} s, or ask the operator for a higher limit`,
      { retryAfterSeconds: seconds },
    );
  }
}
