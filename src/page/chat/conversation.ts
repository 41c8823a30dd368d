import type { ChatEvent, ChatMessage, Served } from './chat-stream.ts';

export interface Turn extends ChatMessage {
  readonly served?: Served;
  readonly error?: string;
  readonly stopped?: boolean;
}

/** Streams the answer to a conversation that ends with the user's turn; `streamChat` is one. */
export type AskModel = (messages: readonly ChatMessage[], signal: AbortSignal) => AsyncIterable<ChatEvent>;

/** The turns of one chat and the answer that is coming in, without their display. */
export class Conversation {
  readonly #onChange: () => void;
  #turns: readonly Turn[] = [];
  #answering: AbortController | null = null;

  /** @param onChange called after every change of `turns` or `answering` */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get turns(): readonly Turn[] {
    return this.#turns;
  }

  get answering(): boolean {
    return this.#answering !== null;
  }

  /** Resolves once the answer is complete, stopped or failed; never rejects. Does nothing while another one comes in. */
  async ask(question: string, model: AskModel): Promise<void> {
    if (question.trim() === '' || this.#answering !== null) return;
    const asked: readonly Turn[] = [...this.#turns, { role: 'user', content: question.trim() }];
    const abort = new AbortController();
    let answer: Turn = { role: 'assistant', content: '' };
    // After `clear` this answer belongs to a conversation that is gone, and its last words must not bring it back.
    const show = (change: Partial<Turn>) => {
      if (this.#answering !== abort) return;
      answer = { ...answer, ...change };
      this.#turns = [...asked, answer];
      this.#onChange();
    };
    this.#answering = abort;
    show({});
    try {
      for await (const event of model(historyOf(asked), abort.signal)) {
        if (event.type === 'text') show({ content: answer.content + event.text });
        if (event.type === 'served') show({ served: event.served });
      }
    } catch (thrown) {
      if (abort.signal.aborted) show({ stopped: true });
      else show({ error: thrown instanceof Error ? thrown.message : String(thrown) });
    } finally {
      if (this.#answering === abort) {
        this.#answering = null;
        this.#onChange();
      }
    }
  }

  /** Ends the answer that is coming in; what there is of it stays. */
  stop(): void {
    this.#answering?.abort();
  }

  /** A new conversation. */
  clear(): void {
    this.#answering?.abort();
    this.#answering = null;
    this.#turns = [];
    this.#onChange();
  }
}

/**
 * What the model is sent of turns that end with a question. A question that got no answer goes with it: many chat
 * templates refuse two user turns in a row.
 */
export function historyOf(turns: readonly Turn[]): ChatMessage[] {
  return turns
    .filter(({ role, content }, i) => {
      const answer = role === 'user' ? turns[i + 1] : undefined;
      return content !== '' && answer?.content !== '';
    })
    .map(({ role, content }) => ({ role, content }));
}
