import { InvalidArgumentError } from 'commander';
import { MAX_JOIN_KEY_CHARS } from '../config/limits.ts';
import { TURN_URL } from '../config/mesh-fields.ts';

/** Parsers of option values; what they throw ends with exit code 2 and a line that names the option. */

/** @returns a parser of whole numbers in [min, max] */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** @returns a parser of decimal numbers in [min, max] */
export function decimalNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) {
      throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** An http(s) address without path, query or trailing slash. */
export function serverAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidArgumentError('It must be an address such as http://127.0.0.1:8787.');
  }
  return url.origin;
}

/** A certificate's SHA-256, with or without colons: browsers show it in either form. */
export function fingerprint(text: string): string {
  const digits = text
    .replace(/^sha-?256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digits)) {
    throw new InvalidArgumentError('It must be sha256: and the 64 hex digits that the server printed.');
  }
  return `sha256:${digits}`;
}

/** What a server asks of workers that join. The fault does not repeat it. */
export function joinKey(text: string): string {
  if (text === '' || text.length > MAX_JOIN_KEY_CHARS) {
    throw new InvalidArgumentError(`It must have 1 to ${MAX_JOIN_KEY_CHARS} characters.`);
  }
  return text;
}

/** One STUN or TURN server, as RTCPeerConnection takes it. */
export interface IceServer {
  readonly urls: string;
  readonly username?: string;
  readonly credential?: string;
}

/** `stun:host:3478`, or `turn:host:3478,user,credential`; collects repeated options. */
export function iceServer(text: string, previous: readonly IceServer[] = []): readonly IceServer[] {
  const [urls = '', username, credential, ...rest] = text.split(',');
  const isTurn = /^turns?:./.test(urls);
  const isComplete = username !== undefined && credential !== undefined;
  if (rest.length > 0 || (isTurn ? !isComplete : username !== undefined || !/^stuns?:./.test(urls))) {
    throw new InvalidArgumentError('It must be stun:host:port, or turn:host:port,user,credential.');
  }
  return [...previous, isComplete ? { urls, username, credential } : { urls }];
}

/** Of a TURN server that takes coturn's time-limited credentials; collects repeated options. */
export function turnUrl(text: string, previous: readonly string[] = []): readonly string[] {
  if (!TURN_URL.test(text)) {
    throw new InvalidArgumentError(
      'It must be turn:host:port or turns:host:port, without user and credential.',
    );
  }
  return [...previous, text];
}

/** Collects repeated options. */
export function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}
