import { ShoalError } from '../../config/errors.ts';

/** Requests that each client has open. A client is known only while it has one, so open connections bound the map. */
export class RunningRequests {
  readonly #running = new Map<string, number>();

  /**
   * @returns ends it; harmless when called again
   * @throws RATE_LIMITED
   */
  begin(client: string, limit: number): () => void {
    const running = this.#running.get(client) ?? 0;
    if (running >= limit) {
      throw new ShoalError(
        'RATE_LIMITED',
        `${running} requests of yours are being answered, and at most ${limit} may be at once; wait for one to end`,
      );
    }
    this.#running.set(client, running + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = this.#running.get(client)! - 1;
      if (left === 0) this.#running.delete(client);
      else this.#running.set(client, left);
    };
  }
}
