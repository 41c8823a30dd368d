import { ShoalError } from '../../../config/errors.ts';

/** Tokens that have come and were not read yet, for one reader. */
export class TokenInbox<Token> {
  readonly #tokens: Token[] = [];
  #final: ShoalError | null = null;
  #wake: () => void = () => {};

  add(token: Token): void {
    this.#tokens.push(token);
    this.#wake();
  }

  /** No other token comes: `next` throws this once all before it were read. The first call counts. */
  end(error: ShoalError): void {
    this.#final ??= error;
    this.#wake();
  }

  /** @throws what it was ended with; the signal's reason as ABORTED */
  async next(signal: AbortSignal): Promise<Token> {
    const wake = () => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      for (;;) {
        if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
        const token = this.#tokens.shift();
        if (token !== undefined) return token;
        if (this.#final !== null) throw this.#final;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }
}
