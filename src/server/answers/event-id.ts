/**
 * Ids of an answer's events: `ANSWER.n.DIGEST`. The answer's part is 128 random bits, so that nobody names an event that he was not
 * sent; n counts from 1. The digest is of all events up to that one: an answer that was made again otherwise is noticed by it. Clients that
 * count events themselves leave it out.
 */
import { randomBytes } from 'node:crypto';

export interface EventId {
  readonly answer: string;
  readonly event: number;
  readonly digest: string | null;
}

const ANSWER_BYTES = 16;
const EVENT_ID = /^([A-Za-z0-9_-]{22})\.(0|[1-9]\d{0,8})(?:\.([0-9a-f]{8}))?$/;

export const newAnswerId = (): string => randomBytes(ANSWER_BYTES).toString('base64url');

export const writeEventId = ({ answer, event, digest }: EventId): string =>
  digest === null ? `${answer}.${event}` : `${answer}.${event}.${digest}`;

/** @returns null for what is none of ours */
export function readEventId(text: string): EventId | null {
  const [, answer, event, digest = null] = EVENT_ID.exec(text) ?? [];
  return answer === undefined ? null : { answer, event: Number(event), digest };
}
