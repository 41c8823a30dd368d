import type { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { MAX_CONTROL_BYTES } from '../../config/limits.ts';
import { type PeerMessage, peerMessageSchema, type ServerMessage, serverMessageSchema } from './control.ts';
import { checkControlVersion } from './version.ts';

/**
 * Reads what a peer sent to the server. A `hello` of another version is refused as such, whatever else it holds.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parsePeerMessage(text: string): PeerMessage {
  const value = parseJson(text);
  if (announces(value, 'hello')) checkControlVersion(value.version, 'server');
  return parse(peerMessageSchema, value, 'a peer');
}

/**
 * Reads what the server sent to a peer. A `welcome` of another version is refused as such, whatever else it holds.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parseServerMessage(text: string): ServerMessage {
  const value = parseJson(text);
  if (announces(value, 'welcome')) checkControlVersion(value.version, 'page');
  return parse(serverMessageSchema, value, 'the server');
}

/** @throws PROTOCOL_INVALID above MAX_CONTROL_BYTES: the other side would refuse it and close */
export function writeMessage(message: PeerMessage | ServerMessage): string {
  const text = JSON.stringify(message);
  checkSize(text, `a ${message.type} message to send`);
  return text;
}

function parseJson(text: string): unknown {
  checkSize(text, 'a control message');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ShoalError('PROTOCOL_INVALID', `a control message is not JSON: ${String(cause)}`, { cause });
  }
}

function checkSize(text: string, what: string): void {
  // A UTF-16 unit is one to three bytes of UTF-8, so most texts need no count.
  if (3 * text.length <= MAX_CONTROL_BYTES) return;
  const bytes = text.length > MAX_CONTROL_BYTES ? text.length : new TextEncoder().encode(text).length;
  if (bytes <= MAX_CONTROL_BYTES) return;
  throw new ShoalError(
    'PROTOCOL_INVALID',
    `${what} has ${bytes} B or more, at most ${MAX_CONTROL_BYTES} B are allowed`,
  );
}

function announces(value: unknown, type: string): value is { version: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === type &&
    'version' in value &&
    typeof value.version === 'number'
  );
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, sender: string): z.infer<Schema> {
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
    {
      param: path,
    },
  );
}
