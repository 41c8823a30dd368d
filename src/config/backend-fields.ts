/** The single fields of model_backend.yaml, and of the page's form. For Node and browsers. */
import { z } from 'zod';
import { isCidr } from './addresses.ts';
import { PROVIDERS } from './backend-config.ts';
import { MAX_MODEL_NAME_CHARS, MAX_NODE_CONCURRENT, MAX_TIMEOUT_SECONDS } from './limits.ts';
import { didYouMean } from './nearest.ts';
import { Secret } from './secret.ts';

const text = z.string('must be text; put it in quotes').min(1, 'must not be empty');

/** Goes into a header: no spaces, no control characters, no quotes left over from pasting. */
const secret = text
  .regex(/^[!-~]+$/, 'must be printable ASCII without spaces')
  .transform((value) => new Secret(value));

/** A number, or text that is one: variables and form fields give text. */
function number(check: z.ZodNumber, message: string) {
  return z.preprocess(
    (value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value),
    check.refine(Number.isFinite, message),
  );
}

const concurrentMessage = `must be a whole number from 1 to ${MAX_NODE_CONCURRENT}`;
const secondsMessage = `must be a number of seconds above 0, at most ${MAX_TIMEOUT_SECONDS}`;
const seconds = number(
  z.number(secondsMessage).positive(secondsMessage).max(MAX_TIMEOUT_SECONDS, secondsMessage),
  secondsMessage,
).transform((value) => Math.max(1, Math.round(value * 1_000)));

/** What a node has; at the top of the file, what every node has that says nothing else. */
export const NODE_FIELDS = {
  url: text.transform(checkedUrl),
  api_key: secret,
  bearer_token: secret,
  model_name_alias: text.max(MAX_MODEL_NAME_CHARS, `must have at most ${MAX_MODEL_NAME_CHARS} characters`),
  max_concurrent: number(
    z.int(concurrentMessage).min(1, concurrentMessage).max(MAX_NODE_CONCURRENT, concurrentMessage),
    concurrentMessage,
  ),
};

/** Seconds in, milliseconds out. */
export const TIMEOUT_FIELDS = { connect: seconds, first_byte: seconds, idle: seconds };

export const ALLOW_ADDRESS = z
  .string('must be text; put it in quotes')
  .refine(isCidr, 'must be an address or a range, such as "10.0.0.5" or "192.168.0.0/16"');

export const TOP_FIELDS = {
  // The value itself is not repeated: it may come from a variable that holds a key.
  backend_provider: z.enum(PROVIDERS, {
    error: ({ input }) =>
      `must be one of ${PROVIDERS.join(', ')}${typeof input === 'string' ? didYouMean(input, PROVIDERS) : ''}`,
  }),
  fxn_id: z.string('must be a text or a whole number').min(1, 'must not be empty'),
  ...NODE_FIELDS,
};

/** The URL without trailing slashes; the reason for a refusal never repeats it, for it may hold a password. */
function checkedUrl(value: string, context: z.RefinementCtx): string {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return refuse('must be an http:// or https:// address, such as "http://127.0.0.1:8082"');
  }
  if (url.username !== '' || url.password !== '') {
    return refuse('must not hold a user name or password; use api_key or bearer_token');
  }
  if (/[?#]/.test(value)) return refuse('must not have a query or a fragment; end it after the path');
  return url.href.replace(/\/+$/, '');
}
