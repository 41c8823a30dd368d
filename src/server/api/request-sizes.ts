/**
 * How many entries the parts of a request may have, looked at before any schema: a schema tells what is wrong with each
 * entry, a microsecond or two apiece, however many there are.
 */
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import {
  MAX_CHAT_MESSAGES,
  MAX_CONTENT_PARTS,
  MAX_LOGIT_BIAS,
  MAX_MESSAGE_KEYS,
  MAX_REQUEST_PARAMETERS,
  MAX_REQUEST_PARTS,
  MAX_REQUEST_TOOLS,
} from '../../config/limits.ts';

/** Of the OpenAI API and of Ollama's; `prompt`, a list of ids, is as long as its model's context. */
const REQUEST: Readonly<Record<string, number>> = {
  messages: MAX_CHAT_MESSAGES,
  stop: MAX_REQUEST_PARTS,
  logit_bias: MAX_LOGIT_BIAS,
  tools: MAX_REQUEST_TOOLS,
  functions: MAX_REQUEST_TOOLS,
  images: MAX_CONTENT_PARTS,
  options: MAX_REQUEST_PARAMETERS,
  chat_template_kwargs: MAX_REQUEST_PARAMETERS,
  stream_options: MAX_REQUEST_PARAMETERS,
};
const MESSAGE: Readonly<Record<string, number>> = {
  content: MAX_CONTENT_PARTS,
  images: MAX_CONTENT_PARTS,
  tool_calls: MAX_CONTENT_PARTS,
};

/** @throws INVALID_REQUEST with the parameter that has too many */
export function checkRequestSizes(body: unknown): void {
  if (!isObject(body)) return;
  const request = body as Readonly<Record<string, unknown>>;
  checkCount('the request', sizeOf(request), MAX_REQUEST_PARAMETERS, null);
  for (const [name, most] of Object.entries(REQUEST)) checkCount(name, sizeOf(request[name]), most);
  if (!Array.isArray(request.messages)) return;
  let parts = 0;
  let allKeys = 0;
  for (const [index, message] of request.messages.entries()) {
    const keys = sizeOf(message);
    if (keys === 0) continue;
    allKeys += keys;
    const path = `messages.${index}`;
    checkCount(path, keys, MAX_REQUEST_PARAMETERS);
    for (const [name, most] of Object.entries(MESSAGE)) {
      const count = sizeOf((message as Readonly<Record<string, unknown>>)[name]);
      checkCount(`${path}.${name}`, count, most);
      parts += count;
    }
  }
  checkCount('messages', allKeys, MAX_MESSAGE_KEYS, 'messages', 'keys');
  checkCount('messages', parts, MAX_REQUEST_PARTS, 'messages', 'parts, images and calls');
}

/** Entries of a list, keys of an object; 0 for what is neither. */
function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

function checkCount(
  what: string,
  count: number,
  most: number,
  param: string | null = what,
  unit = 'entries',
): void {
  if (count <= most) return;
  throw new ShoalError(
    'INVALID_REQUEST',
    `${what} has ${count} ${unit}, at most ${most} are taken; send fewer`,
    {
      ...(param !== null && { param }),
    },
  );
}
