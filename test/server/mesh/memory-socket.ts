import { parseServerMessage } from '../../../src/mesh/protocol/codec.ts';
import type { PeerMessage, ServerMessage } from '../../../src/mesh/protocol/control.ts';
import type {
  ControlSocket,
  ControlSocketEvents,
} from '../../../src/server/mesh/connections/control-socket.ts';

/** A control socket without a network; the test is the page at its other end. */
export class MemorySocket implements ControlSocket {
  readonly received: ServerMessage[] = [];
  pings = 0;
  bufferedAmount = 0;
  /** How it ended; null while it is open. */
  ended: { readonly code: number | null; readonly reason: string } | null = null;
  #events: ControlSocketEvents | null = null;

  get isOpen(): boolean {
    return this.ended === null;
  }

  listen(events: ControlSocketEvents): void {
    this.#events = events;
  }

  send(text: string): void {
    this.received.push(parseServerMessage(text));
  }

  ping(): void {
    this.pings++;
  }

  close(code: number, reason: string): void {
    this.#end(code, reason);
  }

  terminate(): void {
    this.#end(null, 'terminated');
  }

  /** As the page says it. */
  say(message: PeerMessage): void {
    this.sayText(JSON.stringify(message));
  }

  sayText(text: string | null, bytes = text?.length ?? 0): void {
    this.#events?.message(text, bytes);
  }

  /** The page's end is gone. */
  drop(): void {
    this.#end(1006, 'dropped');
  }

  messages<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }>[] {
    return this.received.filter(
      (message): message is Extract<ServerMessage, { type: T }> => message.type === type,
    );
  }

  #end(code: number | null, reason: string): void {
    if (this.ended !== null) return;
    this.ended = { code, reason };
    this.#events?.closed();
  }
}
