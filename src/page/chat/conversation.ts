import { type AnsweredBy, ChatError, type ChatEvent, type ChatMessage, type Served } from './chat-stream.ts';
import { dropMore, messagesToDrop, withoutOldest } from './context.ts';
import { splitThinking } from './thinking.ts';

export interface Turn {
  readonly role: 'user' | 'assistant';
  /** As the model wrote it, with what it thought where that stands in the text. */
  readonly content: string;
  /** What the model thought, where its server told it apart. */
  readonly reasoning?: string;
  readonly model?: string;
  readonly by?: AnsweredBy;
  readonly served?: Served;
  readonly error?: string;
  readonly stopped?: boolean;
  /** It ended for its length: the context was full, or the server allows no longer answer. */
  readonly cut?: 'context' | 'limit';
  /** Of this turn in a prompt, as the server counted. */
  readonly tokens?: number;
  /** Of an answer: the prompt's tokens and its own. */
  readonly used?: number;
  /** Of an answer: so many of the turns before were not sent. */
  readonly leftOut?: number;
}

/** Streams the answer to a conversation that ends with the user's turn. */
export type AskModel = (messages: readonly ChatMessage[], signal: AbortSignal) => AsyncIterable<ChatEvent>;

export interface Question {
  readonly text: string;
  readonly model: string;
  /** Null: unknown; then nothing is left out before a server refuses. */
  readonly contextLength: number | null;
}

/** A question that was not answered at all; it is no part of the conversation. */
export interface Refusal {
  readonly text: string;
  readonly message: string;
  readonly kind: ChatError['kind'];
}

/** The turns of one chat and the answer that is coming in, without their display. */
export class Conversation {
  readonly #onChange: (isText: boolean) => void;
  #turns: readonly Turn[];
  #answering: AbortController | null = null;
  /** The page is going: what breaks off now does so for that. */
  isLeaving = false;

  /**
   * @param onChange called after every change of `turns` or `answering`; `isText`: an answer has grown, and nothing else
   * @param turns of a conversation to go on with
   */
  constructor(onChange: (isText: boolean) => void, turns: readonly Turn[] = []) {
    this.#onChange = onChange;
    this.#turns = turns;
  }

  get turns(): readonly Turn[] {
    return this.#turns;
  }

  get answering(): boolean {
    return this.#answering !== null;
  }

  /**
   * Resolves once the answer is complete, stopped or failed; never rejects. Does nothing while another one comes in.
   * @returns why the question was refused, before any of an answer; the turns are then what they were
   */
  async ask({ text, model, contextLength }: Question, askModel: AskModel): Promise<Refusal | null> {
    const question: Turn = { role: 'user', content: text.trim() };
    if (question.content === '' || this.#answering !== null) return null;
    const before = this.#turns;
    const history = historyOf([...before, question]);
    const abort = new AbortController();
    const asked: Turn[] = [...before, question];
    let answer: Turn = { role: 'assistant', content: '', model };
    // After `clear` this answer belongs to a conversation that is gone, and its last words must not bring it back.
    const show = (change: Partial<Turn>, isText = false) => {
      if (this.#answering !== abort) return;
      answer = { ...answer, ...change };
      this.#turns = [...asked, answer];
      this.#onChange(isText);
    };
    this.#answering = abort;
    let dropped = messagesToDrop(history, contextLength);
    try {
      for (;;) {
        const sent = withoutOldest(history, dropped);
        show({ ...(dropped > 0 && { leftOut: history[dropped]!.turn }) });
        try {
          for await (const event of askModel(sent.map(messageOf), abort.signal)) {
            if (event.type === 'text') show({ content: answer.content + event.text }, true);
            else if (event.type === 'reasoning')
              show({ reasoning: (answer.reasoning ?? '') + event.text }, true);
            else if (event.type === 'by') show({ by: event.by });
            else if (event.type === 'served') show({ served: event.served });
            else if (event.type === 'finish') {
              if (event.reason === 'length') show({ cut: 'limit' });
            } else {
              const { promptTokens, completionTokens } = event;
              const others = sent.slice(0, -1).reduce((sum, { tokens = 0 }) => sum + tokens, 0);
              asked[asked.length - 1] = { ...question, tokens: Math.max(1, promptTokens - others) };
              const used = promptTokens + completionTokens;
              const isFull = contextLength !== null && used >= contextLength;
              show({
                tokens: completionTokens,
                used,
                ...(answer.cut && { cut: isFull ? 'context' : 'limit' }),
              });
            }
          }
          return null;
        } catch (thrown) {
          const more = dropMore(history, dropped);
          if (!isTooLong(thrown) || more === dropped || !isEmpty(answer)) throw thrown;
          dropped = more;
        }
      }
    } catch (thrown) {
      if (abort.signal.aborted || (this.isLeaving && !isEmpty(answer))) {
        show({ stopped: true });
        return null;
      }
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      if (!isEmpty(answer) || this.#answering !== abort) {
        show({ error: message });
        return null;
      }
      this.#turns = before;
      return { text: question.content, message, kind: kindOf(thrown) };
    } finally {
      if (this.#answering === abort) {
        this.#answering = null;
        this.#onChange(false);
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
    this.#onChange(false);
  }
}

const isEmpty = ({ content, reasoning = '' }: Turn) => content === '' && reasoning === '';
const kindOf = (thrown: unknown): ChatError['kind'] => (thrown instanceof ChatError ? thrown.kind : 'other');
const isTooLong = (thrown: unknown) => kindOf(thrown) === 'context';

interface HistoryMessage extends ChatMessage {
  readonly role: 'user' | 'assistant';
  readonly tokens?: number;
  /** Its place among the turns. */
  readonly turn: number;
}

const messageOf = ({ role, content }: HistoryMessage): ChatMessage => ({ role, content });

/**
 * What the model is sent of turns that end with a question. A question that got no answer goes with it: many chat
 * templates refuse two user turns in a row. What a model thought is not sent back, as reasoning models want it.
 */
export function historyOf(turns: readonly Turn[]): HistoryMessage[] {
  const said = turns.map(({ role, content }) => (role === 'user' ? content : splitThinking(content).answer));
  return turns.flatMap(({ role, tokens }, turn) => {
    const content = said[turn]!;
    const answer = role === 'user' ? said[turn + 1] : undefined;
    if (content === '' || answer === '') return [];
    // What was counted with its thoughts weighs less without them.
    const isWhole = content === turns[turn]!.content;
    return [{ role, content, turn, ...(tokens !== undefined && isWhole && { tokens }) }];
  });
}
