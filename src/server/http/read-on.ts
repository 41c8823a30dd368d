/**
 * Behind a request with an offer to change the protocol, Node's parser stops, taken or not. What came in the same packet is
 * then lost: the next request, or worse, its first half, so that its body would be read as a request. And from then on it
 * reports no fault, so that what is no HTTP gets no 400 but silence (Node 20 to 24; Node without a listener for `upgrade`
 * does the same). Delete this once Node reads on by itself.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** As much of Node's parser as is needed here. */
interface Parser {
  incoming: (IncomingMessage & { readonly upgrade?: boolean | null }) | null;
  /** @returns how many bytes were read */
  execute(bytes: Buffer): number | Error;
  getCurrentBuffer(): Buffer;
  [onExecute: number]: ((read: number | Error) => void) | null;
}

/** The last request of each parser whose offer is not taken. */
const passedOver = new WeakMap<Parser, { request: IncomingMessage | null }>();

/** @param request whose offer is not taken, and whose headers are being read now */
export function readOn(request: IncomingMessage): void {
  const socket = request.socket;
  const { parser } = socket as Socket & { parser?: Parser };
  if (!parser) return;
  const known = passedOver.get(parser);
  if (known !== undefined) {
    known.request = request;
    return;
  }
  const key = (parser.constructor as { kOnExecute?: number }).kOnExecute;
  const executed = key === undefined ? null : parser[key];
  if (key === undefined || !executed) return;
  const state: { request: IncomingMessage | null } = { request };
  passedOver.set(parser, state);

  /** @returns whether the parser stopped at the end of a request whose offer is not taken, or what is wrong */
  const stopped = (read: number, length: number): boolean | Error => {
    const isComplete = state.request?.complete ?? false;
    if (isComplete) state.request = null;
    if (read === length || parser.incoming?.upgrade) return false;
    return isComplete || parseError(read);
  };

  const { execute } = parser;
  parser.execute = (bytes) => {
    for (let at = 0; ; ) {
      const rest = bytes.subarray(at);
      const read = execute.call(parser, rest);
      if (typeof read !== 'number') return read;
      at += read;
      const reason = stopped(read, rest.length);
      if (reason === false || at === bytes.length) return at;
      if (reason !== true) return reason;
    }
  };
  // Node's way for a socket whose bytes go to the parser without passing through JavaScript.
  parser[key] = (read) => {
    if (typeof read !== 'number') return executed(read);
    const bytes = parser.getCurrentBuffer();
    const reason = stopped(read, bytes.length);
    executed(typeof reason === 'boolean' ? read : reason);
    if (reason !== true) return;
    // Paused, Node waits for a client that asks on and does not read: who also offers upgrades is no client of ours.
    if (socket.isPaused()) socket.destroy();
    else socket.emit('data', bytes.subarray(read));
  };
  socket.once('close', () => {
    // Node keeps parsers for further connections. What it calls itself it sets anew.
    passedOver.delete(parser);
    parser.execute = execute;
  });
}

const parseError = (read: number) =>
  Object.assign(new Error('Parse Error'), { code: 'HPE_INVALID_CONSTANT', bytesParsed: read });
