import type { AnswerRecord } from './answer-record.ts';

/** Where answers are kept beyond the server's process. Without one they are kept in memory. */
export interface AnswerStore {
  /** In place of what is stored of that answer. Resolves when it is there; a failure is logged, and the answer then lives in memory alone. */
  put(record: AnswerRecord): Promise<void>;
  remove(id: string): Promise<void>;
  /** All that can be read. Called once, before the others. */
  load(): Promise<AnswerRecord[]>;
  /** Resolves when everything was written. */
  settled(): Promise<void>;
}
