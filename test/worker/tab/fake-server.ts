import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../../src/mesh/protocol/control.ts';
import type { WebSocketLike } from '../../../src/mesh/reconnecting-socket.ts';
import { GREEDY } from '../../../src/model/sampling.ts';

/** The server's end of the control WebSocket, under the test's hand. */
export class FakeServer {
  readonly received: PeerMessage[] = [];
  #socket: WebSocketLike | null = null;
  /** Takes connections, but welcomes nobody. */
  silent = false;
  /** Takes no connections. */
  isAway = false;
  peer = 'peer-5';
  connections = 0;

  readonly open = (): WebSocketLike => {
    this.connections += 1;
    const socket: WebSocketLike = {
      bufferedAmount: 0,
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => this.#take(JSON.parse(text) as PeerMessage),
      close: () => {},
    };
    this.#socket = socket;
    queueMicrotask(() => {
      if (this.isAway) socket.onclose?.({ code: 1006, reason: '' });
      else (socket.onopen as (() => void) | null)?.();
    });
    return socket;
  };

  say(message: ServerMessage): void {
    this.#socket?.onmessage?.({ data: JSON.stringify(message) });
  }

  die(): void {
    this.#socket?.onclose?.({ code: 1006, reason: '' });
  }

  of<Type extends PeerMessage['type']>(type: Type): Extract<PeerMessage, { type: Type }>[] {
    return this.received.filter((message) => message.type === type) as Extract<PeerMessage, { type: Type }>[];
  }

  /** Types of what came since the last call. */
  news(): PeerMessage['type'][] {
    const all = this.received.splice(0).map(({ type }) => type);
    return all;
  }

  welcome(): void {
    this.say({ type: 'welcome', version: CONTROL_VERSION, peer: this.peer, iceServers: [] });
  }

  #take(message: PeerMessage): void {
    this.received.push(message);
    if (message.type === 'hello' && !this.silent) queueMicrotask(() => this.welcome());
  }
}

export function hold(shard: number, start = 0, end = 8): Extract<ServerMessage, { type: 'hold' }> {
  return {
    type: 'hold',
    shard,
    model: 'fake',
    manifestPath: '/models/fake/manifest?start=0',
    filesPath: '/models/fake/',
    quantization: 'native',
    layers: { start, end, embedding: start === 0, head: end === 8 },
  };
}

export function openFor(sequence: number, epoch = 1): Extract<ServerMessage, { type: 'open' }> {
  return {
    type: 'open',
    sequence,
    epoch,
    shard: 1,
    index: 0,
    route: [{ peer: 'peer-5', name: 'tab 1', start: 0, end: 8 }],
    wire: 'f16',
    maxPositions: 8,
    eosTokenIds: [],
    sampling: GREEDY,
    promptTokens: 3,
    known: 3,
    awaitsResume: false,
  };
}
