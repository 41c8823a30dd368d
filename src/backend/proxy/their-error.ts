/** The forms in which other people's servers write errors, and what each means. */
import { isObject } from '../../config/json-object.ts';

/** What a backend said went wrong; OpenAI's fields. */
export interface TheirError {
  /** Where it gave no words: its code or type. Empty where there is none either. */
  readonly message: string;
  readonly type: string | null;
  readonly param: string | null;
  readonly code: string | number | null;
}

type Json = Readonly<Record<string, unknown>>;

/** Deeper ones are read as what they lie in. */
const MAX_DEPTH = 4;

/**
 * OpenAI's `{error: {message}}`, also llama.cpp's and vLLM's of today; `{error: "text"}` (vLLM on a wrong key, TGI);
 * `{object: "error", message}` (vLLM before 0.10); `{detail}` (FastAPI, with a list of faults on 422); `{message}` and `{errors: […]}`
 * (gateways); `[{error}]` (Google). Where servers always write the field, one that holds nothing is no error: `null`, `""`, `{}`,
 * `false`, `[]`, `0`, and fields of which that is true.
 *
 * @returns null where `value` is none of them
 */
export function readError(value: unknown): TheirError | null {
  if (Array.isArray(value)) return firstOf(value, readError);
  if (!isObject(value)) return null;
  const { error, errors, detail, message } = value;
  const told = given(error, value, 0);
  if (told !== null) return told;
  if (typeof detail === 'string' && detail.trim() !== '') return fields(value, detail, {});
  const faults = Array.isArray(detail) ? readFaults(detail) : given(detail, value, 0);
  if (faults !== null) return faults;
  if ('choices' in value) return null;
  if (typeof message === 'string') return fields(value, message, {});
  return given(errors, value, 0);
}

function given(error: unknown, outer: Json, depth: number): TheirError | null {
  if (error === true) return fields(outer, textOf(outer), {});
  if (typeof error === 'number' && error !== 0) return fields({ code: error }, textOf(outer), outer);
  if (typeof error === 'string' && error.trim() !== '') return fields(outer, error, {});
  if (depth === MAX_DEPTH) return null;
  if (Array.isArray(error)) return firstOf(error, (each) => given(each, outer, depth + 1));
  if (!isObject(error)) return null;
  const text = textOf(error);
  if (text !== '') return fields(error, text, outer);
  const inner = firstOf([error.error, error.message, error.detail], (each) => given(each, error, depth + 1));
  if (inner !== null) return inner;
  const { type, code } = fields(error, '', {});
  return type === null && code === null ? null : fields(error, '', outer);
}

function firstOf(values: readonly unknown[], read: (value: unknown) => TheirError | null): TheirError | null {
  for (const value of values) {
    const error = read(value);
    if (error !== null) return error;
  }
  return null;
}

function textOf({ message, msg, detail, reason }: Json): string {
  const text = [message, msg, detail, reason].find((each) => typeof each === 'string' && each.trim() !== '');
  return typeof text === 'string' ? text : '';
}

/** @param outer has the code where `from` has none */
function fields(from: Json, message: string, outer: Json): TheirError {
  const text = (value: unknown) =>
    typeof value === 'string' && value.trim() !== '' ? value.slice(0, 256) : null;
  const code = (value: unknown) => (typeof value === 'number' && value !== 0 ? value : text(value));
  const type = text(from.type);
  const own = code(from.code) ?? code(outer.code);
  return { message: message || String(own ?? type ?? ''), type, param: text(from.param), code: own };
}

/** FastAPI's list: `[{loc: ["body", "n"], msg: "Input should be a valid integer"}]`. */
function readFaults(faults: readonly unknown[]): TheirError | null {
  const told = faults.flatMap((fault) => {
    if (!isObject(fault) || typeof fault.msg !== 'string') return [];
    const path = Array.isArray(fault.loc) ? fault.loc.filter((part) => part !== 'body').join('.') : '';
    return [{ path, text: path === '' ? fault.msg : `${path}: ${fault.msg}` }];
  });
  if (told[0] === undefined) return null;
  return {
    message: told.map(({ text }) => text).join('; '),
    type: null,
    param: told[0].path === '' ? null : told[0].path.slice(0, 256),
    code: null,
  };
}

/**
 * The HTTP status that an error means which an event, or an answer with status 200, tells of. llama.cpp puts it into `code`;
 * others write a name there, or only a type.
 */
export function statusOf({ code, type }: TheirError): number {
  const status = Number(code);
  if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
  return statusOfName(code) ?? statusOfName(type) ?? 500;
}

/** Some answer 500 to what the client must change, and say so only by the code. */
export function statusMeant(status: number, error: TheirError | null): number {
  const meant = status === 500 && error !== null ? statusOfName(error.code) : null;
  return meant === 400 || meant === 429 ? meant : status;
}

/** The first that fits. Names as OpenAI, Anthropic, Google, vLLM and TGI write them, in snake case. */
const NAMES: readonly (readonly [name: RegExp, status: number])[] = [
  [/context_(length|size|window)|too_long|above_max|max_length/, 400],
  [/rate_limit|quota|too_many_requests|resource_exhausted/, 429],
  [/api_key|authentication|unauthenticated|unauthorized/, 401],
  [/permission|forbidden/, 403],
  [/not_found|does_not_exist/, 404],
  [/too_large/, 413],
  [/overloaded|unavailable/, 503],
  [/timeout|timed_out|deadline/, 504],
  [/^invalid_(?!response)|bad_request|unsupported|validation|content_(filter|policy)/, 400],
];

function statusOfName(name: string | number | null): number | null {
  if (typeof name !== 'string') return null;
  const snake = name
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll(/[\s.-]+/g, '_')
    .toLowerCase();
  return NAMES.find(([pattern]) => pattern.test(snake))?.[1] ?? null;
}
