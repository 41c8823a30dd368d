import type { OpenNegotiatedPeer } from '../../mesh/negotiated-peer.ts';
import { drawPeerKey } from '../../mesh/peer-key.ts';
import type { WebSocketLike } from '../../mesh/reconnecting-socket.ts';
import { systemTimers, type Timers } from '../../mesh/timers.ts';

/** What a tab of the mesh takes from where it runs; tests and simulations pass their own. */
export interface TabEnvironment {
  readonly openSocket: (url: string) => WebSocketLike;
  readonly timers: Timers;
  /** Uniform in [0, 1), for back-offs. */
  readonly random: () => number;
  /** The secret that is this peer, once a contribution. */
  readonly drawKey: () => string;
  /** Default: WebRTC. */
  readonly openPeer?: OpenNegotiatedPeer;
  /** For whoever debugs. */
  readonly warn: (text: string) => void;
}

export const browserTab = (): TabEnvironment => ({
  // The browser's type fits; its handlers are declared with more of the event than is used.
  openSocket: (url) => new WebSocket(url) as unknown as WebSocketLike,
  timers: systemTimers,
  random: Math.random,
  drawKey: drawPeerKey,
  warn: (text) => console.warn(text),
});
