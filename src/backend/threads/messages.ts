/** What goes between the server and a thread that works for it. */
import type { ErrorCode, ShoalError } from '../../config/errors.ts';

export interface JobMessage<Job> {
  readonly id: number;
  readonly job: Job;
}

export type ThreadMessage<Facts, Result> =
  /** It has read what it needs; first of all. */
  | { readonly type: 'ready'; readonly facts: Facts }
  | { readonly type: 'unfit'; readonly error: JobError }
  | { readonly type: 'done'; readonly id: number; readonly result: Result }
  | { readonly type: 'failed'; readonly id: number; readonly error: JobError };

/** A ShoalError whole: `toWire` is for peers, who are told less. */
export interface JobError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
}

export function jobError({ code, message, param }: ShoalError): JobError {
  return { code, message, ...(param !== undefined && { param }) };
}
