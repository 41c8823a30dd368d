/**
 * Ids of an answer's events: `ANSWER.n`. The answer's part is 128 random bits, so that nobody names an event that he was not
 * sent; n counts from 1.
 */
import { randomBytes } from 'node:crypto';

export interface EventId {
  readonly answer: string;
  readonly event: number;
}

const ANSWER_BYTES = 16;
const EVENT_ID = /^([A-Za-z0-9_-]{22})\.(0|[1-9]\d{0,8})$/;

export const newAnswerId = (): string => randomBytes(ANSWER_BYTES).toString('base64url');

export const writeEventId = ({ answer, event }: EventId): string => `${answer}.${event}`;

/** @returns null for what is none of ours */
export function readEventId(text: string): EventId | null {
  const [, answer, event] = EVENT_ID.exec(text) ?? [];
  return answer === undefined ? null : { answer, event: Number(event) };
}
