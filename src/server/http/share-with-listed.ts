import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { WARNING_HEADER } from '../../backend/openai/unknown-parameters.ts';
import { SERVED_BY_HEADER } from '../../backend/served-by.ts';
import { CORS_MAX_AGE_SECONDS } from '../../config/limits.ts';
import { ANSWER_HEADER, REPLAYED_HEADER } from '../answers/read-answer.ts';
import type { HostGuard } from './host-guard.ts';

/**
 * CORS for the sites that the operator listed; it takes no credentials of the browser's. The headers asked for are granted as they
 * are: OpenAI's client sends a dozen of its own. It answers preflights itself, so what asks for keys comes after it.
 */
export function shareWithListed(guard: HostGuard): MiddlewareHandler {
  const grant = cors({
    origin: (origin) => (guard.isListedOrigin(origin) ? origin : null),
    allowMethods: ['GET', 'POST', 'DELETE'],
    exposeHeaders: [
      'retry-after',
      'x-request-id',
      SERVED_BY_HEADER,
      WARNING_HEADER,
      ANSWER_HEADER,
      REPLAYED_HEADER,
      'content-range',
      'etag',
    ],
    maxAge: CORS_MAX_AGE_SECONDS,
  });
  return async (c, next) => {
    if (c.req.header('origin') !== undefined) return grant(c, next);
    // Headers that are set before there is an answer make it be copied; programs, which send no Origin, need none.
    await next();
    c.header('vary', 'Origin', { append: true });
  };
}
