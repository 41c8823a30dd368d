import { ERROR_CODES, type ShoalError } from '../config/errors.ts';
import { RETRY_AFTER_SECONDS } from '../config/limits.ts';

/** OpenAI's error shape; official clients pick the exception class by status and show `message`, `param` and `code`. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** `code` is the ShoalError's in OpenAI's spelling: `CONTEXT_LENGTH_EXCEEDED` → `context_length_exceeded`. */
export function openAiErrorBody(error: ShoalError): OpenAiErrorBody {
  return {
    error: {
      message: error.message,
      type: ERROR_CODES[error.code][1],
      param: error.param ?? null,
      code: error.code.toLowerCase(),
    },
  };
}

/** The answer to a request that failed before its first byte. */
export function openAiErrorResponse(error: ShoalError): Response {
  const { httpStatus, retryAfterSeconds } = error;
  const seconds = retryAfterSeconds ?? (httpStatus === 429 ? RETRY_AFTER_SECONDS : undefined);
  return Response.json(openAiErrorBody(error), {
    status: httpStatus,
    ...(seconds !== undefined && { headers: { 'retry-after': String(Math.ceil(seconds)) } }),
  });
}
