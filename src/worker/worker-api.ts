import type { WireError } from '../config/errors.ts';
import type { Capability, PeerMessage, ServerMessage } from '../mesh/protocol/control.ts';

/** Control messages that the page hands on to the worker as they came. */
export type WorkerCommand = Extract<
  ServerMessage,
  { type: 'assign' | 'unassign' | 'open' | 'prompt' | 'close' }
>;

/** What the worker tells the page, in order, over the port of `EventsMessage`. */
export type WorkerEvent =
  /** Hand on to the server as it is. */
  | { readonly type: 'send'; readonly message: PeerMessage }
  /** Once a second: decode rows since the start, GPU bytes of all engines. */
  | {
      readonly type: 'usage';
      readonly tokensPerSecond: number;
      readonly tokens: number;
      readonly gpuBytes: number;
    }
  /** An open link fell silent or broke; nothing else ends its connection. */
  | { readonly type: 'link-lost'; readonly peer: string; readonly attempt: number }
  /** Every assignment is dropped. A new device is being looked for. */
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

/** What the Web Worker exposes (comlink). */
export interface WorkerApi {
  detect(options: DetectOptions): Promise<Detected>;
  command(command: WorkerCommand): void;
  /** No link to `peer` will come; assignments that wait for it fail. */
  linkFailed(peer: string, error: WireError): void;
  dropLink(peer: string): void;
  /** Forgets assignments and links of a server session that ended; the device stays. */
  endSession(): void;
  /** Drops every assignment and link and gives the device back. */
  stop(): void;
}
