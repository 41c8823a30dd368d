/** What the JSON protocols share: size before parsing, schema after it, and errors that name the field. */
import type { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';

/** @throws PROTOCOL_INVALID */
export function parseJson(text: string, what: string, maxBytes: number): unknown {
  checkSize(text, what, maxBytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ShoalError('PROTOCOL_INVALID', `${what} is not JSON: ${String(cause)}`, { cause });
  }
}

/** @throws PROTOCOL_INVALID above `maxBytes` of UTF-8 */
export function checkSize(text: string, what: string, maxBytes: number): void {
  // A UTF-16 unit is one to three bytes of UTF-8, so most texts need no count.
  if (3 * text.length <= maxBytes) return;
  const bytes = text.length > maxBytes ? text.length : new TextEncoder().encode(text).length;
  if (bytes <= maxBytes) return;
  throw new ShoalError(
    'PROTOCOL_INVALID',
    `${what} has ${bytes} B or more, at most ${maxBytes} B are allowed; send less at once`,
  );
}

/** Whether `value` is the handshake message `type`, whatever else another version made of it. */
export function announces(value: unknown, type: string): value is { version: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === type &&
    'version' in value &&
    typeof value.version === 'number'
  );
}

/** @throws PROTOCOL_INVALID naming the field and what was expected */
export function parseMessage<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  sender: string,
): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.') || 'the message';
  const type =
    typeof value === 'object' && value !== null && 'type' in value
      ? String(value.type).slice(0, 40)
      : 'unknown';
  throw new ShoalError(
    'PROTOCOL_INVALID',
    `${sender} sent a bad ${type} message: ${path}: ${issue?.message ?? 'refused'}`,
    { param: path },
  );
}
