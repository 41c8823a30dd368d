/**
 * Answers that outlive their connection: requests with an Idempotency-Key. Each is computed once; who asks the same again
 * under the same key reads the same answer, from where he was.
 */

import type { AnswerKeeping } from '../../backend/backend.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  ANSWER_KEPT_MS,
  MAX_ANSWER_LOG_BYTES,
  MAX_KEPT_ANSWER_BYTES,
  MAX_KEPT_ANSWER_BYTES_PER_CLIENT,
  MAX_KEPT_ANSWERS,
  MAX_KEPT_ANSWERS_PER_CLIENT,
  RETRY_AFTER_SECONDS,
  SHUTDOWN_RETRY_AFTER_SECONDS,
} from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import { EarliestTimer } from '../earliest-timer.ts';
import type { AnswerKeeper, StoredRequest } from './answer-keeper.ts';
import type { AnswerRecord } from './answer-record.ts';
import { AnswerUse } from './answer-use.ts';
import { type EventId, newAnswerId, readEventId } from './event-id.ts';
import { digestOf } from './idempotency-key.ts';
import { type AnswerIdentity, type AnswerSurroundings, KeptAnswer, type StartAnswer } from './kept-answer.ts';

export interface AskedAgain {
  /** As `Exchange.client`: the name of a key, or an address. */
  readonly owner: string;
  readonly idempotencyKey: string;
  /** Of what is asked: the same for the same request only. */
  readonly fingerprint: string;
  readonly lastEventId: string | undefined;
}

export interface Taken {
  readonly answer: KeptAnswer;
  /** The number of the last event that the client has. */
  readonly after: number;
  /** Of the events up to that one, where the client says it. */
  readonly digest: string | null;
  readonly isReplay: boolean;
}

/** `resumed`: from an event on; `repeated`: from the start; `restored`: from an earlier run of the server. The others say why an answer is no longer kept. */
export const ANSWER_COUNTS = ['resumed', 'repeated', 'restored', 'expired', 'evicted', 'unread'] as const;
export type AnswerCount = (typeof ANSWER_COUNTS)[number];

export interface KeptAnswersOptions {
  readonly timers: Timers;
  readonly onCount?: (what: AnswerCount) => void;
  /** Absent: answers are kept in memory, and go with the server. */
  readonly keeper?: AnswerKeeper;
}

export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  readonly #bySlot = new Map<string, KeptAnswer>();
  readonly #byId = new Map<string, KeptAnswer>();
  /** Those that no longer run, with the time of their end (ms of the timers), the oldest first. */
  readonly #ended = new Map<KeptAnswer, number>();
  /** Of answers from an earlier run, how long ago they ended. */
  readonly #endedBefore = new WeakMap<KeptAnswer, number>();
  readonly #use = new AnswerUse();
  readonly #expiry: EarliestTimer;

  constructor(options: KeptAnswersOptions) {
    this.#options = options;
    this.#expiry = new EarliestTimer(options.timers, () => this.#expire());
  }

  /** Of the backend of an answer, where there is a store. */
  keeping(
    answer: () => KeptAnswer,
    request: StoredRequest,
    record?: AnswerRecord,
  ): AnswerKeeping | undefined {
    return this.#options.keeper?.keeping(answer, request, record);
  }

  get count(): number {
    return this.#use.all.count;
  }

  get bytes(): number {
    return this.#use.all.bytes;
  }

  /**
   * The answer that was asked for before, or a new one.
   *
   * @param start called where it is new
   * @throws IDEMPOTENCY_KEY_REUSED, ANSWER_LOST, OVERLOADED, RATE_LIMITED
   */
  take(asked: AskedAgain, start: (answer: () => KeptAnswer) => StartAnswer): Taken {
    const event = eventOf(asked);
    const found = this.#find(asked, event);
    if (found !== undefined && found.identity.fingerprint !== asked.fingerprint) {
      throw new ShoalError(
        'IDEMPOTENCY_KEY_REUSED',
        'another request came with this Idempotency-Key; use a new key for each request, and the same body to ask again',
      );
    }
    if (event !== null) {
      if (event === 'unknown' || found?.identity.id !== event.answer) throw lost();
      this.#options.onCount?.('resumed');
      return { answer: found, after: event.event, digest: event.digest, isReplay: true };
    }
    if (found !== undefined && found.state !== 'failed') {
      this.#options.onCount?.('repeated');
      return { answer: found, after: 0, digest: null, isReplay: true };
    }
    if (found !== undefined) this.#forget(found);
    return { answer: this.#begin(asked, start), after: 0, digest: null, isReplay: false };
  }

  /**
   * An answer that ran in an earlier run of the server goes on.
   * @param start makes it again, the same
   */
  restore({ identity, beginning }: AnswerRecord, start: (answer: () => KeptAnswer) => StartAnswer): void {
    this.#options.onCount?.('restored');
    this.#options.keeper?.found(this.#add(identity, start, { began: true, isInOrder: isOfOne(beginning) }));
  }

  /** An answer that ended in an earlier run, so long ago. */
  restoreEnded({ identity, beginning, end }: AnswerRecord, endedAgoMs: number): void {
    if (end === null) throw new Error('it has not ended');
    const { status, headers, events } = end;
    const response = new Response(Buffer.concat(events), { status, headers });
    // It may have been made again by an even earlier run.
    const how = { began: true, isInOrder: isOfOne(beginning) };
    const answer = this.#add(identity, () => async () => response, how);
    this.#endedBefore.set(answer, endedAgoMs);
    this.#options.onCount?.('restored');
    this.#options.keeper?.found(answer);
  }

  /** Ends an answer for all who read it, and forgets it. @throws ANSWER_LOST where there is none */
  end(asked: Omit<AskedAgain, 'fingerprint'>): void {
    const found = this.#find(asked, eventOf(asked));
    if (found === undefined) throw lost();
    this.#forget(found);
    found.abort(new ShoalError('ABORTED', 'the answer was ended by its client'));
  }

  /** Ends what runs and is read by nobody: the server takes no requests any more, so nobody will. What is stored stays for the next. */
  endUnread(reason: ShoalError): void {
    this.#options.keeper?.stop();
    for (const answer of [...this.#bySlot.values()]) if (answer.readers === 0) answer.abort(reason);
  }

  /** The server does not wait for them: those that are stored end here, to be taken up by its next run. */
  breakOff(): void {
    const { keeper } = this.#options;
    for (const answer of [...this.#bySlot.values()])
      if (keeper?.isStored(answer)) answer.abort(interrupted());
  }

  close(): void {
    this.breakOff();
    this.#options.keeper?.stop();
    this.#expiry.stop();
    for (const answer of [...this.#bySlot.values()]) {
      this.#forget(answer);
      answer.abort(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
    }
  }

  #find(asked: Omit<AskedAgain, 'fingerprint'>, event: NamedEvent): KeptAnswer | undefined {
    const found = this.#bySlot.get(slotOf(digestOf(asked.owner), digestOf(asked.idempotencyKey)));
    if (found !== undefined || event === null || event === 'unknown') return found;
    // Without keys a client is its address, and a phone changes that. Who names an event of the answer has read it.
    const read = this.#byId.get(event.answer);
    const isIts =
      read?.identity.key === digestOf(asked.idempotencyKey) &&
      read.identity.isAddress &&
      isAddress(asked.owner);
    return isIts ? read : undefined;
  }

  #begin(asked: AskedAgain, start: (answer: () => KeptAnswer) => StartAnswer): KeptAnswer {
    const { fingerprint } = asked;
    const owner = digestOf(asked.owner);
    while (this.#use.of(owner).count >= MAX_KEPT_ANSWERS_PER_CLIENT) {
      if (this.#evict(owner)) continue;
      throw new ShoalError(
        'RATE_LIMITED',
        `${this.#use.of(owner).count} answers of yours with an Idempotency-Key are on their way; wait for one to end`,
      );
    }
    while (this.count >= MAX_KEPT_ANSWERS) {
      if (this.#evict()) continue;
      throw new ShoalError('OVERLOADED', `${this.count} answers with an Idempotency-Key are on their way`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const identity = {
      id: newAnswerId(),
      owner,
      isAddress: isAddress(asked.owner),
      key: digestOf(asked.idempotencyKey),
      fingerprint,
    };
    return this.#add(identity, start, {});
  }

  #add(
    identity: AnswerIdentity,
    start: (answer: () => KeptAnswer) => StartAnswer,
    how: { readonly began?: boolean; readonly isInOrder?: boolean },
  ): KeptAnswer {
    const around: AnswerSurroundings = {
      timers: this.#options.timers,
      onBytes: (which, change) => this.#grow(which, change),
      hasRoom: (which) => this.#hasRoom(which),
      onEnded: (which, why) => this.#noteEnd(which, why),
    };
    const answer: KeptAnswer = new KeptAnswer(
      identity,
      start(() => answer),
      around,
      how,
    );
    this.#bySlot.set(slotOf(identity.owner, identity.key), answer);
    this.#byId.set(identity.id, answer);
    this.#use.add(identity.owner);
    return answer;
  }

  #noteEnd(answer: KeptAnswer, why: 'whole' | 'failed' | 'unread'): void {
    if (!this.#byId.has(answer.identity.id)) return;
    if (why === 'unread') this.#options.onCount?.('unread');
    // Of a stream that failed, who has read a part may learn how it ended.
    const form = answer.headNow?.form ?? 'whole';
    this.#options.keeper?.ended(answer, why === 'whole');
    if (why === 'unread' || (why === 'failed' && form === 'whole')) this.#forget(answer);
    else {
      const agoMs = this.#endedBefore.get(answer) ?? 0;
      this.#ended.set(answer, this.#options.timers.now() - agoMs);
      this.#expiry.within(ANSWER_KEPT_MS - agoMs);
    }
  }

  #expire(): void {
    const now = this.#options.timers.now();
    for (const [answer, endedAt] of this.#ended) {
      const leftMs = endedAt + ANSWER_KEPT_MS - now;
      if (leftMs > 0) {
        this.#expiry.within(leftMs);
        return;
      }
      this.#options.onCount?.('expired');
      this.#forget(answer);
    }
  }

  #hasRoom({ log, identity }: KeptAnswer): boolean {
    if (log.bytes > MAX_ANSWER_LOG_BYTES) return false;
    while (this.#use.of(identity.owner).bytes > MAX_KEPT_ANSWER_BYTES_PER_CLIENT) {
      if (!this.#evict(identity.owner)) return false;
    }
    while (this.bytes > MAX_KEPT_ANSWER_BYTES) if (!this.#evict()) return false;
    return true;
  }

  /** Forgets the one that ended first, of one client or of all. @returns false where none has ended */
  #evict(owner?: string): boolean {
    for (const answer of this.#ended.keys()) {
      if (owner !== undefined && answer.identity.owner !== owner) continue;
      this.#options.onCount?.('evicted');
      this.#forget(answer);
      return true;
    }
    return false;
  }

  /** Readers that it has read on. */
  #forget(answer: KeptAnswer): void {
    const { id, owner, key } = answer.identity;
    if (!this.#byId.delete(id)) return;
    const slot = slotOf(owner, key);
    if (this.#bySlot.get(slot) === answer) this.#bySlot.delete(slot);
    this.#ended.delete(answer);
    this.#options.keeper?.forgotten(answer);
    this.#use.remove(owner, answer.log.bytes);
  }

  #grow({ identity }: KeptAnswer, change: number): void {
    if (this.#byId.has(identity.id)) this.#use.grow(identity.owner, change);
  }
}

/** `unknown`: it is none of ours. */
type NamedEvent = EventId | 'unknown' | null;

const eventOf = ({ lastEventId }: Pick<AskedAgain, 'lastEventId'>): NamedEvent =>
  lastEventId === undefined ? null : (readEventId(lastEventId) ?? 'unknown');

const slotOf = (owner: string, key: string) => digestOf(owner, key);

const isOfOne = ({ sequences }: AnswerRecord['beginning']) => sequences.length === 1;

const isAddress = (owner: string) => owner.startsWith('address ');

function interrupted(): ShoalError {
  return new ShoalError(
    'SHUTTING_DOWN',
    'the server is shutting down; ask again when it is back, with Last-Event-ID where you have one, and the answer goes on',
    { retryAfterSeconds: SHUTDOWN_RETRY_AFTER_SECONDS },
  );
}

/** The same whether there never was one, it is another's, or it is over. */
function lost(): ShoalError {
  return new ShoalError(
    'ANSWER_LOST',
    'no such answer is kept here: it is too old, nobody read it, the server was started anew, or it is another client’s; ask without Last-Event-ID to have it computed again',
  );
}
