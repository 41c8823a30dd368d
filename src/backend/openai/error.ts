import { ERROR_CODES, type ErrorCode, type ShoalError } from '../../config/errors.ts';
import { RETRY_AFTER_SECONDS } from '../../config/limits.ts';

/** OpenAI's error shape; official clients pick the exception class by status and show `message`, `param` and `code`. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** OpenAI's own code where programs look for it. */
const INVALID_API_KEY = 'invalid_api_key';

/** The ShoalError code that `code` of an OpenAI error body stands for; null for one that is not ours. */
export function errorCodeOf(code: string): ErrorCode | null {
  if (code === INVALID_API_KEY) return 'UNAUTHORIZED';
  const ours = code.toUpperCase();
  return Object.hasOwn(ERROR_CODES, ours) ? (ours as ErrorCode) : null;
}

/** `code` is the ShoalError's in OpenAI's spelling: `CONTEXT_LENGTH_EXCEEDED` → `context_length_exceeded`. */
export function openAiErrorBody(error: ShoalError): OpenAiErrorBody {
  return {
    error: {
      message: error.message,
      type: ERROR_CODES[error.code][1],
      param: error.param ?? null,
      code: error.code === 'UNAUTHORIZED' ? INVALID_API_KEY : error.code.toLowerCase(),
    },
  };
}

/** The answer to a request that failed before its first byte. */
export function openAiErrorResponse(error: ShoalError): Response {
  const { httpStatus, retryAfterSeconds } = error;
  const seconds = retryAfterSeconds ?? (httpStatus === 429 ? RETRY_AFTER_SECONDS : undefined);
  return Response.json(openAiErrorBody(error), {
    status: httpStatus,
    headers: {
      ...(seconds !== undefined && { 'retry-after': String(Math.ceil(seconds)) }),
      // RFC 9110 §15.5.2: a 401 says how to authenticate.
      ...(httpStatus === 401 && { 'www-authenticate': 'Bearer' }),
    },
  });
}
