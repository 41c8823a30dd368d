/** One answer that is computed once, apart from the connections that read it. */
import { ShoalError } from '../../config/errors.ts';
import { ANSWER_LINGER_MS, MAX_ANSWER_READERS } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import { type AnswerForm, eventCutter, formOf } from './answer-form.ts';
import { AnswerLog } from './answer-log.ts';

/** Gives the response whose body is the answer; `signal` aborts when nobody wants it any more. */
export type StartAnswer = (signal: AbortSignal) => Promise<Response>;

export interface AnswerHead {
  readonly status: number;
  readonly headers: Headers;
  readonly form: AnswerForm;
}

/** `failed`: it broke off, was refused, or nobody read it. Who asks again has it computed again. */
export type AnswerState = 'running' | 'whole' | 'failed';

export interface AnswerIdentity {
  /** The first part of its events' ids. */
  readonly id: string;
  /** Digest of whose it is: a key's name or an address. */
  readonly owner: string;
  readonly isAddress: boolean;
  /** Digest of the Idempotency-Key. */
  readonly key: string;
  /** Digest of what was asked. */
  readonly fingerprint: string;
}

export interface AnswerSurroundings {
  readonly timers: Timers;
  readonly onBytes: (answer: KeptAnswer, change: number) => void;
  /** Makes room where it can. @returns whether there is room for more of this answer */
  readonly hasRoom: (answer: KeptAnswer) => boolean;
  /** Called once, when it no longer runs. `unread`: it was ended because nobody read it. */
  readonly onEnded: (answer: KeptAnswer, why: 'whole' | 'failed' | 'unread') => void;
}

/** A connection that reads the answer, or waits for it. */
export interface AnswerReader {
  /** The last event that it has taken. */
  position: number;
  /** Idempotent. */
  detach(): void;
}

export class KeptAnswer {
  readonly identity: AnswerIdentity;
  readonly log: AnswerLog;
  readonly isRestored: boolean;
  /** That its events were made again, as one restored may be, has not changed their order. */
  readonly isInOrder: boolean;
  /** Rejects with what the request is refused with before it has an answer. */
  readonly head: Promise<AnswerHead>;
  readonly #around: AnswerSurroundings;
  readonly #readers = new Set<AnswerReader>();
  readonly #ending = new AbortController();
  #state: AnswerState = 'running';
  #headNow: AnswerHead | null = null;
  #hasFailed = false;
  #isUnread = false;
  #source: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #moved: () => void = () => {};
  #cancelLinger: () => void = () => {};

  /** `began`: in an earlier run of the server, so that its readers may have more of it than is there again. */
  constructor(
    identity: AnswerIdentity,
    start: StartAnswer,
    around: AnswerSurroundings,
    { began = false, isInOrder = true } = {},
  ) {
    this.identity = identity;
    this.isRestored = began;
    this.isInOrder = isInOrder;
    this.#around = around;
    this.log = new AnswerLog((change) => around.onBytes(this, change));
    this.head = new Promise((resolve, reject) => {
      void this.#compute(start, resolve).then(
        () => this.#ended(this.#hasFailed ? 'failed' : 'whole'),
        (thrown) => {
          reject(thrown);
          this.log.finish(thrown);
          this.#ended('failed');
        },
      );
    });
    // Whoever awaits it sees the rejection too; with nobody there it would end the process.
    this.head.catch(() => {});
    this.#linger();
  }

  get state(): AnswerState {
    return this.#state;
  }

  /** Null before it has one. */
  get headNow(): AnswerHead | null {
    return this.#headNow;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** The backend says that the answer broke off, which its bytes may not tell. */
  broke(): void {
    this.#hasFailed = true;
  }

  /**
   * @param position the last event that the reader has already
   * @throws RATE_LIMITED
   */
  attach(position: number): AnswerReader {
    if (this.#readers.size >= MAX_ANSWER_READERS) {
      throw new ShoalError(
        'RATE_LIMITED',
        `${MAX_ANSWER_READERS} connections read this answer already; close one`,
      );
    }
    this.#cancelLinger();
    const reader: AnswerReader = {
      position,
      detach: () => {
        if (!this.#readers.delete(reader)) return;
        this.#moved();
        if (this.#readers.size === 0) this.#linger();
      },
    };
    this.#readers.add(reader);
    return reader;
  }

  /** A reader's position has changed. */
  moved(): void {
    this.#moved();
  }

  /** Ends it, for the reason given, unless it has ended. What it says of that is no event of it: the next run may go on. */
  abort(reason: ShoalError): void {
    if (this.#state !== 'running') return;
    this.log.finish(reason);
    this.#hasFailed = true;
    this.#ending.abort(reason);
    // Woken where it waits for a reader.
    this.#moved();
    void this.#source?.cancel(reason).catch(() => {});
  }

  #linger(): void {
    if (this.#state !== 'running') return;
    this.#cancelLinger();
    this.#cancelLinger = this.#around.timers.after(ANSWER_LINGER_MS, () => {
      this.#isUnread = true;
      this.abort(new ShoalError('ABORTED', `nobody read the answer for ${ANSWER_LINGER_MS / 1_000} s`));
    });
  }

  async #compute(start: StartAnswer, headed: (head: AnswerHead) => void): Promise<void> {
    const { signal } = this.#ending;
    const response = await start(signal);
    if (!response.ok) this.#hasFailed = true;
    const form = formOf(response.headers.get('content-type'));
    this.#headNow = { status: response.status, headers: new Headers(response.headers), form };
    headed(this.#headNow);
    if (response.body !== null) {
      const cutter = eventCutter(form);
      const source = response.body.getReader();
      this.#source = source;
      try {
        for (;;) {
          const { done, value } = await source.read();
          if (done) break;
          for (const event of cutter.push(value)) await this.#append(event);
        }
      } catch (thrown) {
        await source.cancel(thrown).catch(() => {});
        throw thrown;
      }
      for (const event of cutter.end()) await this.#append(event);
    }
    this.log.finish(signal.aborted ? signal.reason : null);
  }

  /** Waits for readers that are behind, as a connection would, while there is no room for more. */
  async #append(event: Uint8Array): Promise<void> {
    if (this.log.end !== null) return;
    this.log.append(event);
    while (!this.#ending.signal.aborted && !this.#around.hasRoom(this)) {
      const isRead = [...this.#readers].every(({ position }) => position > this.log.dropped);
      if (isRead) {
        if (!this.log.dropOldest()) return;
      } else {
        await new Promise<void>((resolve) => {
          this.#moved = resolve;
        });
      }
    }
  }

  #ended(state: 'whole' | 'failed'): void {
    this.#state = state;
    this.#cancelLinger();
    this.#around.onEnded(this, this.#isUnread ? 'unread' : state);
  }
}
