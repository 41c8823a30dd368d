import { ShoalError } from '../../config/errors.ts';

/** Places of one request among those that its client may have at once. */
export interface Places {
  /**
   * Takes so many in all, once the request says how many answers it asks for.
   * @throws RATE_LIMITED; INVALID_REQUEST for more than the client may ever have
   */
  grow(answers: number): void;
  /** Harmless when called again. */
  end(): void;
}

/** Answers that each client has open. A client is known only while it has one, so open connections bound the map. */
export class RunningRequests {
  readonly #running = new Map<string, number>();

  /**
   * One place, before more is known of the request.
   * @throws RATE_LIMITED
   */
  begin(client: string, limit: number): Places {
    let held = 0;
    let isOpen = true;
    const grow = (answers: number): void => {
      if (!isOpen || answers <= held) return;
      if (answers > limit) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `the request asks for ${answers} answers, n for each prompt, and at most ${limit} of yours may be on their way at once; ask for fewer`,
          { param: 'n' },
        );
      }
      const running = this.#running.get(client) ?? 0;
      const others = running - held;
      if (others + answers > limit) {
        throw new ShoalError(
          'RATE_LIMITED',
          `${others} answers of yours are on their way${answers > 1 ? `, ${answers} more are asked for` : ''}, and at most ${limit} may be at once; wait for one to end`,
        );
      }
      this.#running.set(client, others + answers);
      held = answers;
    };
    grow(1);
    return {
      grow,
      end: () => {
        if (!isOpen) return;
        isOpen = false;
        const left = this.#running.get(client)! - held;
        if (left === 0) this.#running.delete(client);
        else this.#running.set(client, left);
      },
    };
  }
}
