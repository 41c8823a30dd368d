import type { WireError } from '../config/errors.ts';
import type {
  Capability,
  HeldShard,
  PeerMessage,
  RunningSequence,
  ServerMessage,
} from '../mesh/protocol/control.ts';

/** Control messages that the main thread hands on to the worker as they came, in order. */
export type WorkerCommand = Extract<
  ServerMessage,
  { type: 'hold' | 'drop' | 'open' | 'resume' | 'prompt' | 'retell' | 'close' }
>;

/** What a worker has at one moment: for a server that may not know it (any more). */
export interface WorkerReport {
  /** Whole on the GPU; what still loads is not among them, and is asked for again with the same number. */
  readonly held: readonly HeldShard[];
  /** Peers to which a link is open, and that were heard lately. */
  readonly links: readonly string[];
  readonly running: readonly RunningSequence[];
}

/** What the worker tells the main thread, in order, over the port of `EventsMessage`. */
export type WorkerEvent =
  /**
   * Hand on to the server as it is, or drop it while there is none: `report` tells again what is true (held, links, running), the
   * server asks again for the rest (`hold`, `open`, `retell`).
   */
  | { readonly type: 'send'; readonly message: PeerMessage }
  /** The answer to `report`, with its number. What was sent before it is in it; what is sent after it is news. */
  | ({ readonly type: 'report'; readonly id: number } & WorkerReport)
  /** Once a second: decode rows since the start, GPU bytes of all engines. */
  | {
      readonly type: 'usage';
      readonly tokensPerSecond: number;
      readonly tokens: number;
      readonly gpuBytes: number;
    }
  /** An open link broke, or was silent too long; nothing else ends its connection. The server was told `link` `down`. */
  | { readonly type: 'link-lost'; readonly peer: string; readonly attempt: number }
  /** Every shard and sequence is gone. A new device is being looked for. */
  | { readonly type: 'device-lost'; readonly error: WireError }
  | { readonly type: 'device-found'; readonly capability: Capability }
  | { readonly type: 'device-failed'; readonly error: WireError };

export interface DetectOptions {
  readonly memoryBudgetBytes: number;
  /** Origin of manifests and weight files. */
  readonly serverUrl: string;
}

export type Detected =
  | { readonly ok: true; readonly capability: Capability }
  /** Not thrown: an error's class and code would not survive the way out of the worker. */
  | { readonly ok: false; readonly error: WireError };

/**
 * Plain messages to the worker, beside comlink's. A data channel can be transferred only at once, and only a plain
 * `postMessage` throws where it cannot.
 */
export interface AcceptMessage {
  readonly type: 'accept';
  readonly peer: string;
  readonly attempt: number;
  readonly end: RTCDataChannel | MessagePort;
}
/** The first message: events go to `port` from here on. */
export interface EventsMessage {
  readonly type: 'events';
  readonly port: MessagePort;
}

/** What the Web Worker exposes (comlink). Calls take effect in the order in which they are made. */
export interface WorkerApi {
  detect(options: DetectOptions): Promise<Detected>;
  /** A `hold` of a shard that is held is answered with `held` again, of one that loads with nothing; so `open` of the same epoch. */
  command(command: WorkerCommand): void;
  /** Answered with the event `report`. */
  report(id: number): void;
  /** Whether there is a server to hear what it sends. Sequences of one that stays away for SERVER_AWAY_MS are closed. */
  server(isThere: boolean): void;
  dropLink(peer: string): void;
  /** Tells the server how the link to the peer is, where one is open. */
  tellLink(peer: string): void;
  /** Another server, to which this is another peer: forgets sequences, shards and links; the device stays. */
  endSession(): void;
  /** Drops everything and gives the device back. */
  stop(): void;
}
