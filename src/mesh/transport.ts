import type { ShoalError } from '../config/errors.ts';

export interface TransportStats {
  readonly bytesSent: number;
  /** Rises with every slice, not with every whole frame: a slow, large frame is a sign of life. */
  readonly bytesReceived: number;
  readonly framesSent: number;
  readonly framesReceived: number;
}

/**
 * A reliable, ordered, bounded path for whole frames between two peers.
 * Implementations: `MemoryTransport` and `ChannelTransport` (an RTCDataChannel or a port that stands for one);
 * both pass test/mesh/transport-contract.ts.
 */
export interface Transport {
  readonly state: 'connecting' | 'open' | 'closed';
  readonly stats: TransportStats;
  /**
   * Sends one frame. Resolves when the frame is handed to the platform and more may be sent (back-pressure).
   * The bytes must not be changed until then. Order of calls is the order of arrival.
   * Before the transport is open, frames wait in its queue.
   * @throws FRAME_INVALID when empty; FRAME_TOO_LARGE above MAX_FRAME_BYTES; OVERLOADED above MAX_SEND_QUEUE_BYTES; LINK_FAILED when closed
   */
  send(frame: Uint8Array): Promise<void>;
  /** Called once, when the transport opens; at once if it is open already; never after it closed. */
  onOpen(opened: () => void): void;
  /** Exactly one receiver; frames that came before are kept (bounded) and delivered at once. */
  onFrame(receive: (frame: Uint8Array) => void): void;
  /** Called once, with the reason. Called at once if already closed. */
  onClose(closed: (reason: ShoalError) => void): void;
  close(reason?: ShoalError): void;
}
