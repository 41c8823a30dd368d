/** A chat's messages, from OpenAI's form to Ollama's. */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { parseExactly } from '../../config/exact-json.ts';
import { isObject } from '../../config/json-object.ts';
import { MAX_CONTENT_PARTS, MAX_MODEL_NAME_CHARS, MAX_TOOLS } from '../../config/limits.ts';
import { HARMLESS_IN_MESSAGE, HARMLESS_IN_PART } from '../openai/known-parameters.ts';
import { isEmpty, withoutNulls } from '../openai/request-schema.ts';
import { type OnUnknown, reportUnknown } from '../openai/unknown-parameters.ts';
import type { OllamaMessage } from './api.ts';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const imagePart = z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string() }) });

const textContent = z.union([z.string(), z.array(textPart).min(1).max(MAX_CONTENT_PARTS)]);
const userContent = z.union([
  z.string(),
  z
    .array(z.discriminatedUnion('type', [textPart, imagePart]))
    .min(1)
    .max(MAX_CONTENT_PARTS),
]);

const callId = z.string().max(MAX_MODEL_NAME_CHARS);
const toolCall = z.object({
  id: callId,
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string().min(1).max(MAX_MODEL_NAME_CHARS), arguments: z.string() }),
});

/** `name` is left out as Ollama's own /v1 leaves it out: its templates know no speakers. */
export const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: textContent }),
  z.object({ role: z.literal('user'), content: userContent }),
  z.object({
    role: z.literal('assistant'),
    content: textContent.default(''),
    /** What a thinking model thought, as this API gave it, or as DeepSeek's clients send it back. */
    reasoning: z.string().optional(),
    reasoning_content: z.string().optional(),
    tool_calls: z.array(toolCall).max(MAX_TOOLS).optional(),
  }),
  z.object({ role: z.literal('tool'), content: textContent, tool_call_id: callId, name: callId.optional() }),
]);

type Message = z.infer<typeof messageSchema>;

const NOT_IN_OLLAMA = ['function_call', 'audio', 'images', 'refusal'];
const MESSAGE_KEYS = new Set([
  ...HARMLESS_IN_MESSAGE,
  ...NOT_IN_OLLAMA,
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
]);
const PART_KEYS = new Set([...HARMLESS_IN_PART, 'type', 'text', 'image_url']);

/** Refuses by name what the schema would only call a wrong literal, and reports what it would drop. */
export function checkedMessage(raw: unknown, index: number, onUnknown: OnUnknown): unknown {
  if (!isObject(raw)) return raw;
  const given = withoutNulls(raw);
  const path = `messages.${index}`;
  reportUnknown(given, MESSAGE_KEYS, path, onUnknown);
  for (const key of NOT_IN_OLLAMA) {
    if (given[key] !== undefined && !isEmpty(given[key]))
      throw unsupported(
        `${path}.${key}`,
        `${path}.${key} is not supported: Ollama’s messages have no such field`,
      );
  }
  if (given.role === 'function')
    throw unsupported(`${path}.role`, `${path}.role: the role "function" is not supported; use "tool"`);
  // OpenAI's newer word for system.
  if (given.role === 'developer') given.role = 'system';
  if (Array.isArray(given.content))
    for (const [at, part] of given.content.entries())
      checkPart(part, given.role, `${path}.content.${at}`, onUnknown);
  return given;
}

function checkPart(part: unknown, role: unknown, path: string, onUnknown: OnUnknown): void {
  if (!isObject(part) || typeof part.type !== 'string') return;
  reportUnknown(part, PART_KEYS, path, onUnknown);
  if (part.type !== 'text' && !(part.type === 'image_url' && role === 'user'))
    throw unsupported(
      path,
      `${path}: a content part of type "${part.type.slice(0, 64)}" cannot be read here; ` +
        'send parts of type "text", and "image_url" in messages of the user',
    );
  // A hint at cost: Ollama looks at the whole picture, which is what the others ask for.
  if (isObject(part.image_url) && part.image_url.detail === 'low')
    throw unsupported(
      `${path}.image_url.detail`,
      `${path}.image_url.detail = "low" is not supported: Ollama looks at the picture as it is; send a smaller one`,
    );
}

const unsupported = (param: string, message: string) =>
  new ShoalError('UNSUPPORTED_PARAMETER', message, { param });

/** @throws UNSUPPORTED_PARAMETER for a picture that is not in the request, INVALID_REQUEST for a broken one */
export function toMessages(messages: readonly Message[]): OllamaMessage[] {
  const toolNames = new Map<string, string>();
  return messages.map((message, index) => {
    const path = `messages.${index}`;
    switch (message.role) {
      case 'system':
        return { role: 'system', content: textOf(message.content) };
      case 'user': {
        const images = imagesOf(message.content, path);
        return { role: 'user', content: textOf(message.content), ...(images.length > 0 && { images }) };
      }
      case 'assistant': {
        const thinking = message.reasoning ?? message.reasoning_content ?? '';
        const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: json } }, at) => {
          toolNames.set(id, name);
          return { id, function: { name, arguments: callArguments(json, `${path}.tool_calls.${at}`) } };
        });
        return {
          role: 'assistant',
          content: textOf(message.content),
          ...(thinking !== '' && { thinking }),
          ...(calls.length > 0 && { tool_calls: calls }),
        };
      }
      case 'tool': {
        // OpenAI's result names the call, Ollama's templates want the function.
        const name = message.name ?? toolNames.get(message.tool_call_id);
        return {
          role: 'tool',
          content: textOf(message.content),
          tool_call_id: message.tool_call_id,
          ...(name !== undefined && { tool_name: name }),
        };
      }
      default:
        return message satisfies never;
    }
  });
}

/** Several text parts become one text, a line each, as vLLM joins them. */
function textOf(content: z.infer<typeof userContent>): string {
  if (typeof content === 'string') return content;
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

/** What Ollama's own /v1 takes; a blank type is base64 of whatever the model reads. */
const DATA_URL = /^data:(?:image\/(?:jpeg|jpg|png|webp))?;base64,/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function imagesOf(content: z.infer<typeof userContent>, path: string): string[] {
  if (typeof content === 'string') return [];
  return content.flatMap((part, at) => {
    if (part.type !== 'image_url') return [];
    const param = `${path}.content.${at}.image_url.url`;
    const { url } = part.image_url;
    if (/^https?:/i.test(url))
      throw unsupported(
        param,
        `${param}: this server fetches nothing for its clients; send the picture itself as data:image/png;base64,…`,
      );
    const prefix = DATA_URL.exec(url)?.[0];
    const base64 = prefix === undefined ? '' : url.slice(prefix.length);
    if (base64.length % 4 !== 0 || !BASE64.test(base64))
      throw new ShoalError(
        'INVALID_REQUEST',
        `${param}: "${url.slice(0, 32)}…" is no picture; it must be data:image/png;base64,… (or jpeg, webp), with base64's padding`,
        { param },
      );
    return [base64];
  });
}

function callArguments(json: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseExactly(json);
  } catch {
    value = undefined;
  }
  if (isObject(value)) return value;
  const param = `${path}.function.arguments`;
  throw new ShoalError(
    'INVALID_REQUEST',
    `${param}: "${json.slice(0, 64)}" is not a JSON object; send back what the model called with`,
    { param },
  );
}
