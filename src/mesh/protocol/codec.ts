import { MAX_CONTROL_BYTES } from '../../config/limits.ts';
import { type PeerMessage, peerMessageSchema, type ServerMessage, serverMessageSchema } from './control.ts';
import { announces, checkSize, parseJson, parseMessage } from './json-message.ts';
import { checkControlVersion } from './version.ts';

/**
 * Reads what a peer sent to the server. A `hello` of another version is refused as such, whatever else it holds.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parsePeerMessage(text: string): PeerMessage {
  const value = parseJson(text, 'a control message', MAX_CONTROL_BYTES);
  if (announces(value, 'hello')) checkControlVersion(value.version, 'server');
  return parseMessage(peerMessageSchema, value, 'a peer');
}

/**
 * Reads what the server sent to a peer. A `welcome` of another version is refused as such, whatever else it holds.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parseServerMessage(text: string): ServerMessage {
  const value = parseJson(text, 'a control message', MAX_CONTROL_BYTES);
  if (announces(value, 'welcome')) checkControlVersion(value.version, 'page');
  return parseMessage(serverMessageSchema, value, 'the server');
}

/** @throws PROTOCOL_INVALID above MAX_CONTROL_BYTES: the other side would refuse it and close */
export function writeMessage(message: PeerMessage | ServerMessage): string {
  const text = JSON.stringify(message);
  checkSize(text, `a ${message.type} message to send`, MAX_CONTROL_BYTES);
  return text;
}
