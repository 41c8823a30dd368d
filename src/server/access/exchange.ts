import type { MiddlewareHandler } from 'hono';
import type { AnswerReport } from '../../backend/backend.ts';
import type { ErrorCode } from '../../config/errors.ts';
import { MAX_REQUEST_ID_CHARS } from '../../config/limits.ts';

declare module 'hono' {
  interface ContextVariableMap {
    exchange: Exchange;
  }
}

export interface Generation {
  readonly operation: 'chat' | 'text_completion';
  /** As the client wrote it: unchecked. */
  readonly model: string | undefined;
}

/** One request and its answer, from the headers' arrival to the last byte of the body or the client's hang-up. */
export class Exchange {
  /** Ours, or the client's own. */
  readonly id: string;
  readonly startedAtMs: number;
  /** Whose key it came with. */
  keyName: string | null = null;
  /** What it is counted as: a key or an address. */
  client = '';
  /** Counts so many answers against what the client may have at once. @throws RATE_LIMITED, INVALID_REQUEST */
  claim: (answers: number) => void = () => {};
  status = 0;
  /** Of the error that it was answered with. */
  errorCode: ErrorCode | null = null;
  /** What the client was told besides its answer: parameters that were ignored. */
  warning: string | null = null;
  /** What was asked for, where an answer is to be generated. */
  generation: Generation | null = null;
  /** What the backend says became of it. */
  report: AnswerReport | null = null;
  #holds = 0;
  readonly #ended: (() => void)[] = [];
  readonly #reported: ((report: AnswerReport) => void)[] = [];

  constructor(id: string, startedAtMs: number) {
    this.id = id;
    this.startedAtMs = startedAtMs;
  }

  /** Called once, when it has ended. */
  onEnd(listener: () => void): void {
    this.#ended.push(listener);
  }

  onReport(listener: (report: AnswerReport) => void): void {
    this.#reported.push(listener);
  }

  /** For the backend, once; perhaps after the end, where the client hung up. */
  answered(report: AnswerReport): void {
    this.report = report;
    for (const listener of this.#reported) listener(report);
  }

  /** Keeps it open. @returns lets go, the last one ends it; harmless when called again */
  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holds === 0) for (const listener of this.#ended.splice(0)) listener();
    };
  }
}

/** A client's id is kept if it can stand in a log line and a header as it is. */
const SAFE_ID = new RegExp(`^[!-~]{1,${MAX_REQUEST_ID_CHARS}}$`);

export interface ExchangeOptions {
  readonly now: () => number;
  readonly newId: () => string;
  /** Called when the answer was sent. */
  readonly onEnd: (exchange: Exchange, request: { readonly method: string; readonly path: string }) => void;
}

/** The outermost middleware: names the request (`x-request-id` on every answer) and tells its end. */
export function exchanges({ now, newId, onEnd }: ExchangeOptions): MiddlewareHandler {
  return async (c, next) => {
    const wanted = c.req.header('x-request-id');
    const exchange = new Exchange(wanted !== undefined && SAFE_ID.test(wanted) ? wanted : newId(), now());
    c.set('exchange', exchange);
    const { method, path } = c.req;
    exchange.onEnd(() => onEnd(exchange, { method, path }));
    const release = exchange.hold();
    try {
      await next();
      exchange.status = c.res.status;
      c.res.headers.set('x-request-id', exchange.id);
    } finally {
      release();
    }
  };
}
