/** One answer that a provider sends: text by credit, so that what waits here for a slow client is bounded. */
import type { Clock } from '../../backend/clock.ts';
import { unlessSilent } from '../../backend/openai/sse.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  MAX_UPSTREAM_BODY_BYTES,
  MAX_UPSTREAM_EVENT_BYTES,
  PROVIDE_WINDOW_BYTES,
  PROVIDED_HEAD_MS,
  PROVIDED_IDLE_MS,
} from '../../config/limits.ts';
import type { AnswerEnd, ProviderMessage } from '../../mesh/protocol/provide.ts';

export type AnswerHead = Extract<ProviderMessage, { type: 'head' }>;

export interface RemoteAnswerOptions {
  /** For errors, e.g. `the provider "box"`. */
  readonly sender: string;
  /** Lets the provider send so many bytes more. */
  readonly grant: (bytes: number) => void;
  /** Called once, when the answer is given up before its end. */
  readonly onCancelled: () => void;
  readonly clock: Clock;
}

const encoder = new TextEncoder();
const PIECE_BYTES = 4_096;

export class RemoteAnswer {
  readonly #options: RemoteAnswerOptions;
  #head: AnswerHead | null = null;
  /** Whole events, or any bytes of an answer that is no event stream. */
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** The beginning of an event whose end has not come: what breaks off within it must not reach the client. */
  #partial: string[] = [];
  #partialChars = 0;
  /** What the provider may still send. */
  #credit = PROVIDE_WINDOW_BYTES;
  #end: { readonly error: ShoalError | null; readonly report: AnswerEnd['report'] } | null = null;
  #wake: () => void = () => {};

  constructor(options: RemoteAnswerOptions) {
    this.#options = options;
  }

  // — what the session tells ——

  /** @throws PROTOCOL_INVALID for a second head */
  begun(head: AnswerHead): void {
    if (this.#head !== null)
      throw new ShoalError('PROTOCOL_INVALID', `request ${head.request} has two heads; send one`);
    this.#head = head;
    this.#changed();
  }

  /** @throws PROTOCOL_INVALID before the head, and above the credit */
  text(data: string): void {
    if (this.#head === null)
      throw new ShoalError('PROTOCOL_INVALID', 'a chunk came before its head; send head first');
    const bytes = encoder.encode(data);
    if (bytes.length > this.#credit) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `a chunk of ${bytes.length} B came, and the credit is ${this.#credit} B; wait for credit`,
      );
    }
    this.#credit -= bytes.length;
    if (this.#isStream) this.#takeEvents(data);
    else this.#enqueue(bytes);
    this.#replenish();
    this.#changed();
  }

  /** @param error null: the answer is whole */
  ended(error: ShoalError | null, report?: AnswerEnd['report']): void {
    if (this.#end !== null) return;
    this.#end = { error, report };
    this.#changed();
  }

  // — what the reader asks ——

  get report(): AnswerEnd['report'] {
    return this.#end?.report;
  }

  /** @throws what the provider failed with; DEADLINE_EXCEEDED after PROVIDED_HEAD_MS */
  async head(): Promise<AnswerHead> {
    while (this.#head === null) {
      if (this.#end !== null) throw this.#end.error ?? this.#failed('ended an answer that it never began');
      await this.#change(PROVIDED_HEAD_MS);
    }
    return this.#head;
  }

  /** @returns the next whole events, null after the last. @throws as `head`; what was read before stands */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const piece = this.#queue.shift();
      if (piece !== undefined) {
        this.#queuedBytes -= piece.length;
        this.#replenish();
        return piece;
      }
      if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        if (this.#partialChars > 0) throw this.#failed('ended its stream in the middle of an event');
        return null;
      }
      await this.#change(PROVIDED_IDLE_MS);
    }
  }

  /** The rest in one piece. @throws as `next`; BACKEND_FAILED above MAX_UPSTREAM_BODY_BYTES */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    let bytes = new Uint8Array(PIECE_BYTES);
    let length = 0;
    for (let piece = await this.next(); piece !== null; piece = await this.next()) {
      const end = length + piece.length;
      if (end > MAX_UPSTREAM_BODY_BYTES)
        throw this.#failed(`sent an answer of more than ${MAX_UPSTREAM_BODY_BYTES} bytes`);
      if (end > bytes.length) {
        const larger = new Uint8Array(Math.max(end, 2 * bytes.length));
        larger.set(bytes.subarray(0, length));
        bytes = larger;
      }
      bytes.set(piece, length);
      length = end;
    }
    return bytes.slice(0, length);
  }

  /** Gives the answer up: the provider is told to stop, and readers get `reason`. After the end it does nothing. */
  cancel(reason: ShoalError): void {
    if (this.#end !== null) return;
    this.ended(reason);
    this.#options.onCancelled();
  }

  get isStream(): boolean {
    return this.#isStream;
  }

  get #isStream(): boolean {
    return this.#head?.contentType.split(';')[0]?.trim().toLowerCase() === 'text/event-stream';
  }

  #takeEvents(data: string): void {
    // The blank line may be cut in two. What came before is not searched again: in pieces of a byte that takes minutes.
    const before = this.#partial.at(-1)?.at(-1) ?? '';
    const at = `${before}${data}`.lastIndexOf('\n\n');
    const end = at < 0 ? 0 : at + 2 - before.length;
    if (end > 0) {
      this.#enqueue(encoder.encode(this.#partial.join('') + data.slice(0, end)));
      this.#partial = [];
      this.#partialChars = 0;
    }
    const rest = data.slice(end);
    if (rest === '') return;
    this.#partial.push(rest);
    this.#partialChars += rest.length;
    if (this.#partialChars > MAX_UPSTREAM_EVENT_BYTES)
      throw this.#failed(`sent an event of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes`);
  }

  /** Small pieces that wait are joined: each alone costs hundreds of bytes, which the window does not count. */
  #enqueue(bytes: Uint8Array): void {
    const last = this.#queue.at(-1);
    if (last === undefined || last.length + bytes.length > PIECE_BYTES) this.#queue.push(bytes);
    else {
      const both = new Uint8Array(last.length + bytes.length);
      both.set(last);
      both.set(bytes, last.length);
      this.#queue[this.#queue.length - 1] = both;
    }
    this.#queuedBytes += bytes.length;
  }

  /** In halves of the window: a message for every token read would double the traffic. */
  #replenish(): void {
    if (this.#end !== null) return;
    const bytes = PROVIDE_WINDOW_BYTES - this.#queuedBytes - this.#credit;
    if (bytes < PROVIDE_WINDOW_BYTES / 2) return;
    this.#credit += bytes;
    this.#options.grant(bytes);
  }

  #failed(what: string): ShoalError {
    return new ShoalError('BACKEND_FAILED', `${this.#options.sender} ${what}; look at its log`);
  }

  #changed(): void {
    this.#wake();
  }

  async #change(patienceMs: number): Promise<void> {
    const change = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if ((await unlessSilent(change, this.#options.clock, patienceMs)) !== 'silent') return;
    const error = new ShoalError(
      'DEADLINE_EXCEEDED',
      `${this.#options.sender} was silent for ${patienceMs / 1_000} s; look at its log`,
    );
    this.cancel(error);
    throw error;
  }
}
