import { ShoalError } from '../../config/errors.ts';
import { type Answer, type ApiClient, type AskOptions, ask, type ChatMessage } from '../api-client.ts';

export type Turn =
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** Stopped by the user; what had come is part of the conversation. */
  | { readonly kind: 'stopped'; readonly text: string };

/** What was said so far, and to whom the next question goes. */
export class Conversation {
  model: string;
  system: string | null = null;
  #turns: readonly ChatMessage[] = [];
  readonly #client: ApiClient;
  readonly #options: AskOptions;

  constructor(client: ApiClient, model: string, options: AskOptions) {
    this.#client = client;
    this.model = model;
    this.#options = options;
  }

  get messages(): readonly ChatMessage[] {
    return this.system === null ? this.#turns : [{ role: 'system', content: this.system }, ...this.#turns];
  }

  /** The instructions stay. */
  clear(): void {
    this.#turns = [];
  }

  /**
   * Asks, and remembers question and answer. A failed turn is left out of the conversation.
   * @param stop aborts when the user has read enough
   * @throws ShoalError, with the server's own code and sentence
   */
  async ask(content: string, stop: AbortSignal, onText: (piece: string) => void): Promise<Turn> {
    const messages: ChatMessage[] = [...this.messages, { role: 'user', content }];
    let text = '';
    const remember = () => {
      this.#turns = [...this.#turns, { role: 'user', content }, { role: 'assistant', content: text }];
    };
    try {
      const answer = await ask(
        this.#client,
        this.model,
        { type: 'chat', messages },
        this.#options,
        stop,
        (piece) => {
          text += piece;
          onText(piece);
        },
      );
      remember();
      return { kind: 'answered', answer };
    } catch (error) {
      if (!stop.aborted) throw ShoalError.from(error);
      // A question without any answer was taken back.
      if (text !== '') remember();
      return { kind: 'stopped', text };
    }
  }
}
