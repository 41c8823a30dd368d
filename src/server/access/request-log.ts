import type { Logger } from 'pino';
import type { Exchange } from './exchange.ts';

/** Of the API and the metrics; what the page and workers fetch is a line at debug. */
const NOTED = /^\/metrics$|^\/v1(\/(?!health$)|$)|^\/api\/(?!status$)/;
const MAX_LOGGED_PATH_CHARS = 200;

/**
 * One line for a request that has ended: who, what, how long. Never what was asked or answered, no header, no query.
 *
 * @param ms since the request's headers came
 */
export function logExchange(
  log: Logger,
  exchange: Exchange,
  { method, path }: { readonly method: string; readonly path: string },
  ms: number,
): void {
  const { id, status, keyName, errorCode, report, warning } = exchange;
  const line = {
    id,
    method,
    path: path.slice(0, MAX_LOGGED_PATH_CHARS),
    status,
    ...(keyName !== null && { key: keyName }),
    ...(errorCode !== null && { code: errorCode }),
    ...(warning !== null && { warning }),
    ...(report !== null && {
      model: report.model,
      outcome: report.outcome,
      promptTokens: report.promptTokens,
      completionTokens: report.completionTokens,
    }),
    ms: Math.round(ms),
  };
  log[NOTED.test(path) ? 'info' : 'debug'](line, 'request');
}
