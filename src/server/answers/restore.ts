/** After a restart: answers that had ended are there again, and those that ran go on. */
import type { Logger } from 'pino';
import { ANSWER_KEPT_MS, MAX_STORED_ANSWER_AGE_MS } from '../../config/limits.ts';
import { IN_PROCESS } from '../access/access.ts';
import type { AnswerRecord } from './answer-record.ts';
import type { AnswerStore } from './answer-store.ts';
import type { KeptAnswers } from './kept-answers.ts';

/** The `env` of a request that is made again from what is stored. */
export interface RestoredRequest {
  readonly restored: AnswerRecord;
}

export const restoredIn = (env: unknown): AnswerRecord | null =>
  (env as Partial<RestoredRequest> | undefined)?.restored ?? null;

export interface RestoreContext {
  readonly store: AnswerStore;
  readonly answers: KeptAnswers;
  /** The server's own HTTP, so that the request goes the way that it went before. */
  readonly fetch: (request: Request, env: object) => Response | Promise<Response>;
  /** Unix ms. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Before the server listens: workers that come back are asked to go on with what is known here, and to forget the rest. */
export async function restoreAnswers({ store, answers, fetch, now, log }: RestoreContext): Promise<void> {
  const records = await store.load();
  let ended = 0;
  let running = 0;
  for (const record of records) {
    const { identity, request, begunAt, end } = record;
    const ageMs = now() - (end?.endedAt ?? begunAt);
    if (ageMs < 0 || ageMs > (end === null ? MAX_STORED_ANSWER_AGE_MS : ANSWER_KEPT_MS)) {
      await store.remove(identity.id);
      continue;
    }
    if (end !== null) {
      answers.restoreEnded(record, ageMs);
      ended++;
      continue;
    }
    const headers = new Headers({ 'content-type': 'application/json' });
    if (request.lenders !== null) headers.set('x-shoal-lenders', request.lenders);
    const again = new Request(`http://localhost${request.path}`, {
      method: 'POST',
      body: request.text,
      headers,
    });
    const response = await fetch(again, { ...IN_PROCESS, restored: record });
    if (response.ok) running++;
    else await store.remove(identity.id);
  }
  if (records.length > 0)
    log.info({ ended, running }, 'answers of before the restart are kept; those that ran go on');
}
