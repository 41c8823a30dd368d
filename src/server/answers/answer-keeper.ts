/** What is written of answers to a store: what they began with, their end, and that they are forgotten. */
import type { AnswerBeginning, AnswerKeeping } from '../../backend/backend.ts';
import type { AnswerRecord } from './answer-record.ts';
import type { AnswerStore } from './answer-store.ts';
import type { KeptAnswer } from './kept-answer.ts';

export type StoredRequest = AnswerRecord['request'];

export class AnswerKeeper {
  readonly #store: AnswerStore;
  readonly #epochMs: () => number;
  /** Of answers that run. */
  readonly #running = new Map<KeptAnswer, AnswerRecord>();
  /** Answers that the store has. */
  readonly #stored = new Set<KeptAnswer>();
  #isStopping = false;

  /** @param epochMs Unix ms */
  constructor(store: AnswerStore, epochMs: () => number) {
    this.#store = store;
    this.#epochMs = epochMs;
  }

  /** For the backend of an answer that begins, or that goes on from `record`. */
  keeping(answer: () => KeptAnswer, request: StoredRequest, record?: AnswerRecord): AnswerKeeping {
    const begunAt = record?.begunAt ?? this.#epochMs();
    return {
      ...(record && { before: record.beginning }),
      begun: async (beginning: AnswerBeginning) => {
        const kept = answer();
        if (kept.state !== 'running') return;
        const { prompts, seeds, sequences, ...head } = beginning;
        const copy = {
          ...head,
          prompts: prompts.map((ids) => [...ids]),
          seeds: [...seeds],
          sequences: [...sequences],
        };
        await this.#put(kept, { identity: kept.identity, request, beginning: copy, begunAt, end: null });
      },
    };
  }

  /** It runs, and another run of the server can take it up. */
  isStored(answer: KeptAnswer): boolean {
    return this.#running.has(answer);
  }

  /** It was stored by an earlier run of the server. */
  found(answer: KeptAnswer): void {
    this.#stored.add(answer);
  }

  ended(answer: KeptAnswer, isWhole: boolean): void {
    const record = this.#running.get(answer);
    this.#running.delete(answer);
    // What a server that stops breaks off, the next one takes up.
    if (record === undefined || (!isWhole && this.#isStopping)) return;
    const { headNow: head, log } = answer;
    if (!isWhole || head === null || log.dropped > 0) {
      this.forgotten(answer);
      return;
    }
    const events = Array.from({ length: log.count }, (_, index) => log.event(index + 1)!);
    const { status, headers } = head;
    const end = { endedAt: this.#epochMs(), status, headers: [...headers.entries()], events };
    void this.#put(answer, { ...record, end });
  }

  forgotten(answer: KeptAnswer): void {
    this.#running.delete(answer);
    if (!this.#stored.delete(answer)) return;
    void this.#store.remove(answer.identity.id);
  }

  /** The server ends: from now on what is stored stays. */
  stop(): void {
    this.#isStopping = true;
    // What ends whole meanwhile is still to be noted.
    this.#stored.clear();
  }

  #put(answer: KeptAnswer, record: AnswerRecord): Promise<void> {
    if (record.end === null) this.#running.set(answer, record);
    this.#stored.add(answer);
    return this.#store.put(record);
  }
}
