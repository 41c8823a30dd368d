import type { ToyAnswer, ToyToken } from '../toy-model.ts';

/** What the two endpoints' objects look like. */
export class AnswerShape {
  readonly #model: string;
  readonly #isChat: boolean;
  readonly #top: number | null;
  readonly #id = Math.random().toString(16).slice(2);

  /** @param top alternatives beside each token; null: no log probabilities */
  constructor(model: string, isChat: boolean, top: number | null) {
    this.#model = model;
    this.#isChat = isChat;
    this.#top = top;
  }

  head(isChunk: boolean): object {
    const object = this.#isChat ? `chat.completion${isChunk ? '.chunk' : ''}` : 'text_completion';
    return {
      id: `${this.#isChat ? 'chatcmpl' : 'cmpl'}-${this.#id}`,
      object,
      created: 1,
      model: this.#model,
    };
  }

  whole(answers: readonly ToyAnswer[]): object {
    const choices = answers.map(({ text, tokens, finish }, index) => ({
      index,
      ...(this.#isChat ? { message: { role: 'assistant', content: text, refusal: null } } : { text }),
      logprobs: this.#logprobs(tokens),
      finish_reason: finish,
      stop_reason: null,
    }));
    return { ...this.head(false), choices };
  }

  first(index: number): object {
    return this.#chunk(index, this.#isChat ? { role: 'assistant', content: '' } : '', null, null);
  }

  delta(index: number, text: string, token: ToyToken): object {
    return this.#chunk(index, this.#isChat ? { content: text } : text, this.#logprobs([token]), null);
  }

  last(index: number, finish: string): object {
    return this.#chunk(index, this.#isChat ? {} : '', null, finish);
  }

  #chunk(index: number, delta: object | string, logprobs: object | null, finish: string | null): object {
    const said = typeof delta === 'string' ? { text: delta } : { delta };
    return { ...this.head(true), choices: [{ index, ...said, logprobs, finish_reason: finish }] };
  }

  #logprobs(tokens: readonly ToyToken[]): object | null {
    const top = this.#top;
    if (top === null) return null;
    const entry = ({ text, logprob }: { text: string; logprob: number }) => ({
      token: text,
      logprob,
      bytes: [...Buffer.from(text)],
    });
    if (this.#isChat) {
      const content = tokens.map((token) => ({
        ...entry(token),
        top_logprobs: token.top.slice(0, top).map(entry),
      }));
      return { content };
    }
    return {
      tokens: tokens.map(({ text }) => text),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      text_offset: tokens.map((_, at) => offsetOf(tokens, at)),
      top_logprobs: tokens.map((token) =>
        Object.fromEntries(token.top.slice(0, top).map(({ text, logprob }) => [text, logprob])),
      ),
    };
  }
}

/** Characters before the token at `at`. */
export const offsetOf = (tokens: readonly ToyToken[], at: number): number =>
  tokens.slice(0, at).reduce((sum, { text }) => sum + text.length, 0);
