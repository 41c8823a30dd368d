import type { LoggerOptions } from 'pino';

/** Fields that may hold a key, wherever an object is logged whole; secrets of our own are `Secret` and print as `***`. */
const SECRET_FIELDS = [
  'headers',
  'authorization',
  'cookie',
  'apiKey',
  'api_key',
  'x-api-key',
  'bearerToken',
  'bearer_token',
  'credential',
  'password',
];

/** What looks like a key in the text of a line: `sk-…` is everyone's prefix, ours too. */
const KEY = /\b(sk-)[\w-]{12,}/g;
const BEARER = /\b(Bearer )[^\s"\\]+/gi;

interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

const MAX_CAUSES = 4;

/**
 * An error by its known parts. Those of HTTP clients carry their request, headers and all, which pino's own serializer
 * would print.
 */
export function loggedError(thrown: unknown, causes = MAX_CAUSES): LoggedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: String(thrown) };
  const { name, message, stack, cause } = thrown;
  return {
    type: name,
    message,
    ...('code' in thrown && typeof thrown.code === 'string' && { code: thrown.code }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && causes > 0 && { cause: loggedError(cause, causes - 1) }),
  };
}

/** Options of every logger: whatever a caller hands over, keys and headers are not written. */
export const redaction = {
  redact: {
    paths: SECRET_FIELDS.flatMap((field) => [`["${field}"]`, `*["${field}"]`, `*.*["${field}"]`]),
    censor: '***',
  },
  serializers: { err: (error: unknown) => loggedError(error) },
  hooks: {
    /** The line as JSON, the last thing before it is written, pretty or not. */
    streamWrite: (line: string) => line.replace(KEY, '$1***').replace(BEARER, '$1***'),
  },
} satisfies LoggerOptions;
