/**
 * Every error that crosses an edge of Shoal (a peer, a model file, a client, a config file, the command line).
 * The code is stable and may be matched on; the message says what, the value, the bound and the remedy.
 */
export const ERROR_CODES = {
  // code: [HTTP status, OpenAI error type]
  INVALID_REQUEST: [400, 'invalid_request_error'],
  UNSUPPORTED_PARAMETER: [400, 'invalid_request_error'],
  CONTEXT_LENGTH_EXCEEDED: [400, 'invalid_request_error'],
  CHAT_TEMPLATE_MISSING: [400, 'invalid_request_error'],
  /** Reading it took longer than a prompt may take: of the request, and not of the server's health. */
  PROMPT_TOO_COSTLY: [400, 'invalid_request_error'],
  UNAUTHORIZED: [401, 'authentication_error'],
  FORBIDDEN: [403, 'permission_error'],
  MODEL_NOT_FOUND: [404, 'invalid_request_error'],
  NOT_FOUND: [404, 'invalid_request_error'],
  METHOD_NOT_ALLOWED: [405, 'invalid_request_error'],
  /** An answer that a client wants to go on reading is not kept, or no longer from there on. */
  ANSWER_LOST: [410, 'invalid_request_error'],
  BODY_TOO_LARGE: [413, 'invalid_request_error'],
  /** Another request came with this Idempotency-Key before. */
  IDEMPOTENCY_KEY_REUSED: [422, 'invalid_request_error'],
  OVERLOADED: [429, 'rate_limit_error'],
  RATE_LIMITED: [429, 'rate_limit_error'],
  INTERNAL: [500, 'server_error'],
  BACKEND_FAILED: [502, 'server_error'],
  /** The backend's name leads to an address that the operator has not allowed. */
  ADDRESS_REFUSED: [502, 'server_error'],
  /** No node is healthy: every circuit breaker is open. */
  BACKEND_UNAVAILABLE: [503, 'server_error'],
  SHUTTING_DOWN: [503, 'server_error'],
  NO_PIPELINE: [503, 'server_error'],
  PIPELINE_LOST: [503, 'server_error'],
  DEADLINE_EXCEEDED: [504, 'server_error'],
  // model files
  MODEL_CONFIG_INVALID: [500, 'server_error'],
  MODEL_UNSUPPORTED: [500, 'server_error'],
  SAFETENSORS_INVALID: [500, 'server_error'],
  TENSOR_MISSING: [500, 'server_error'],
  TENSOR_SHAPE: [500, 'server_error'],
  TENSOR_HASH: [500, 'server_error'],
  DOWNLOAD_FAILED: [500, 'server_error'],
  TOKENIZER_INVALID: [500, 'server_error'],
  // GPU
  NO_SECURE_CONTEXT: [500, 'server_error'],
  NO_WEBGPU: [500, 'server_error'],
  NO_ADAPTER: [500, 'server_error'],
  DEVICE_LOST: [500, 'server_error'],
  OUT_OF_MEMORY: [500, 'server_error'],
  SHARD_TOO_LARGE: [500, 'server_error'],
  SHADER_INVALID: [500, 'server_error'],
  NON_FINITE: [500, 'server_error'],
  F16_RANGE: [500, 'server_error'],
  // mesh
  PROTOCOL_VERSION: [400, 'invalid_request_error'],
  PROTOCOL_INVALID: [400, 'invalid_request_error'],
  FRAME_INVALID: [400, 'invalid_request_error'],
  FRAME_TOO_LARGE: [413, 'invalid_request_error'],
  EPOCH_STALE: [409, 'server_error'],
  SEQUENCE_UNKNOWN: [409, 'server_error'],
  SEQUENCE_LIMIT: [429, 'server_error'],
  POSITION_GAP: [409, 'server_error'],
  KV_EXHAUSTED: [429, 'server_error'],
  LINK_FAILED: [502, 'server_error'],
  ABORTED: [499, 'server_error'],
  // command line and configuration
  CONFIG_INVALID: [400, 'invalid_request_error'],
  PORT_IN_USE: [500, 'server_error'],
  /** Another server has the directory of `--state`. */
  STATE_IN_USE: [500, 'server_error'],
  NO_BROWSER: [500, 'server_error'],
  /** A server's TLS certificate is not the one of --tls-fingerprint. */
  CERTIFICATE_REFUSED: [502, 'server_error'],
  /** `shoal doctor` found something that does not work. */
  CHECK_FAILED: [500, 'server_error'],
  /** stdout or stderr of a command took nothing more, for another reason than that its reader had enough. */
  OUTPUT_LOST: [500, 'server_error'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorContext {
  /** The name of the offending request parameter, config key or tensor. */
  readonly param?: string;
  readonly cause?: unknown;
  /** When trying again may help; becomes the Retry-After header. */
  readonly retryAfterSeconds?: number;
  /** The message for all but the client whose request it was; see `ShoalError.toOthers`. */
  readonly toOthers?: string;
}

/**
 * The one error class of the project.
 *
 * @example throw new ShoalError('SHARD_TOO_LARGE', 'layers 0–15 need 1.9 GB, this device allows 1.0 GB; assign 8 layers or fewer');
 */
export class ShoalError extends Error {
  override readonly name = 'ShoalError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /**
   * What the log, the status and other clients may read: the message without what a backend said, which may repeat a
   * prompt or an answer.
   */
  readonly toOthers: string;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.param = context.param;
    this.retryAfterSeconds = context.retryAfterSeconds;
    this.toOthers = context.toOthers ?? message;
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code][0];
  }

  override toString(): string {
    return `${this.code}: ${this.message}`;
  }

  /** A form that survives JSON and structured clone (class identity does not). */
  toWire(): WireError {
    return { code: this.code, message: this.message.slice(0, MAX_WIRE_ERROR_CHARS) };
  }

  /** Turns anything thrown, or its wire form, into a ShoalError; unknown things become INTERNAL. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): ShoalError {
    if (thrown instanceof ShoalError) return thrown;
    if (isWireError(thrown)) return new ShoalError(thrown.code, thrown.message);
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new ShoalError(fallback, message, { cause: thrown });
  }
}

/** Keeps one error inside one control message (64 KB). */
const MAX_WIRE_ERROR_CHARS = 2_000;

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
}

function isWireError(value: unknown): value is WireError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    Object.hasOwn(ERROR_CODES, value.code) &&
    'message' in value &&
    typeof value.message === 'string'
  );
}
