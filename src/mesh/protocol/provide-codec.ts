import { ShoalError } from '../../config/errors.ts';
import { memberText, withMembers } from '../../config/json-text.ts';
import { MAX_PROVIDE_REQUEST_BYTES, MAX_PROVIDER_MESSAGE_BYTES } from '../../config/limits.ts';
import { announces, checkSize, parseJson, parseMessage } from './json-message.ts';
import {
  PROVIDE_VERSION,
  type ProviderMessage,
  type ProvidingServerMessage,
  providerMessageSchema,
  providingServerMessageSchema,
} from './provide.ts';

/**
 * Reads what a provider sent to the server.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parseProviderMessage(text: string): ProviderMessage {
  const value = parseJson(text, 'a provider’s message', MAX_PROVIDER_MESSAGE_BYTES);
  if (announces(value, 'hello')) checkVersion(value.version, PROVIDE_VERSION);
  return parseMessage(providerMessageSchema, value, 'a provider');
}

/**
 * Reads what the server sent to a provider.
 * @throws PROTOCOL_INVALID naming the field and what was expected; PROTOCOL_VERSION
 */
export function parseProvidingServerMessage(text: string): ProvidingServerMessage {
  const value = parseJson(text, 'a message to a provider', MAX_PROVIDE_REQUEST_BYTES);
  if (announces(value, 'welcome')) checkVersion(PROVIDE_VERSION, value.version);
  return parseMessage(providingServerMessageSchema, value, 'the server');
}

/** @throws PROTOCOL_INVALID above MAX_PROVIDER_MESSAGE_BYTES: the server would close the connection */
export function writeProviderMessage(message: ProviderMessage): string {
  const text = JSON.stringify(message);
  checkSize(text, `a ${message.type} message to send`, MAX_PROVIDER_MESSAGE_BYTES);
  return text;
}

/**
 * @param bodyText what a request's body was parsed from: it is sent as it is, with all its digits
 * @throws PROTOCOL_INVALID above MAX_PROVIDE_REQUEST_BYTES
 */
export function writeProvidingServerMessage(message: ProvidingServerMessage, bodyText?: string): string {
  const text =
    bodyText === undefined
      ? JSON.stringify(message)
      : withMembers(JSON.stringify({ ...message, body: null }), { body: bodyText });
  checkSize(text, `a ${message.type} message to send`, MAX_PROVIDE_REQUEST_BYTES);
  return text;
}

/** The body's own text in a request that `writeProvidingServerMessage` wrote. */
export function requestBodyText(text: string): string | undefined {
  return memberText(text, 'body');
}

function checkVersion(provider: number, server: number): void {
  if (provider === server) return;
  const remedy =
    provider < server ? 'update shoal where the provider runs, or reload its page' : 'update the server';
  throw new ShoalError(
    'PROTOCOL_VERSION',
    `the provider speaks provider version ${provider}, the server ${server}; ${remedy}`,
  );
}
