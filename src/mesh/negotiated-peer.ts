import type { Instance } from 'simple-peer';
import Peer from 'simple-peer/simplepeer.min.js';
import { ShoalError } from '../config/errors.ts';

export interface NegotiatedPeerOptions {
  readonly initiator: boolean;
  /** Ours only; simple-peer's default names third parties. Empty is enough on one machine or LAN. */
  readonly iceServers: readonly RTCIceServer[];
  /** Session descriptions and ICE candidates for the other side. */
  readonly onSignal: (data: unknown) => void;
  readonly onConnect: () => void;
  /** Called once: the connection failed, or was closed by either side. */
  readonly onGone: (reason: ShoalError) => void;
}

/** One WebRTC connection and the activation channel on it. */
export interface NegotiatedPeer {
  /** Fresh: not yet open, nothing sent, so it can be transferred if that is done at once. */
  readonly channel: RTCDataChannel;
  signal(data: unknown): void;
  destroy(): void;
}

export type OpenNegotiatedPeer = (options: NegotiatedPeerOptions) => NegotiatedPeer;

/**
 * Stream id of the activation channel, the same on both sides. simple-peer's own channel gets 0 or 1;
 * Firefox starts with 256 streams, Chromium allows 1,024.
 */
const ACTIVATION_STREAM_ID = 64;

/**
 * Makes a simple-peer connection with a negotiated channel, synchronously, so that the caller can transfer the channel
 * before it opens.
 * @throws LINK_FAILED where the browser offers no WebRTC
 */
export const openNegotiatedPeer: OpenNegotiatedPeer = (options) => {
  const peer = new Peer({ initiator: options.initiator, config: { iceServers: [...options.iceServers] } });
  const connection = privateConnection(peer);
  if (connection === null) {
    peer.on('error', () => {});
    peer.destroy();
    throw new ShoalError('LINK_FAILED', 'this browser made no RTCPeerConnection; is WebRTC switched off?');
  }
  const channel = connection.createDataChannel('activations', {
    negotiated: true,
    id: ACTIVATION_STREAM_ID,
    ordered: true,
  });

  let failure: unknown = null;
  let ownChannel: RTCDataChannel | null = null;
  peer.on('signal', (data) => options.onSignal(data));
  peer.on('connect', () => {
    ownChannel = privateChannel(peer);
    options.onConnect();
  });
  // Nothing is ever sent on simple-peer's own channel; what comes there would fill its stream without bound.
  peer.on('data', () => peer.destroy(new Error('the other peer sent data outside the activation channel')));
  peer.on('error', (error) => {
    failure = error;
  });
  peer.on('close', () => {
    // simple-peer 9.11.1 leaves these two handlers set, and with them itself reachable from the dead connection.
    connection.onconnectionstatechange = null;
    if (ownChannel !== null) ownChannel.onbufferedamountlow = null;
    ownChannel = null;
    const what = failure instanceof Error ? failure.message : 'it was closed';
    options.onGone(new ShoalError('LINK_FAILED', `the WebRTC connection ended: ${what}`, { cause: failure }));
  });

  return {
    channel,
    signal(data) {
      if (!peer.destroyed) peer.signal(data as Parameters<Instance['signal']>[0]);
    },
    destroy() {
      ownChannel ??= privateChannel(peer);
      peer.destroy();
    },
  };
};

// simple-peer has no public way to a second channel. In 9.11.1 the connection is `_pc`, set in the constructor (null or
// missing when that failed) and nulled on destroy; its own channel is `_channel`. Look here first after an update.
function privateConnection(peer: Instance): RTCPeerConnection | null {
  return (peer as unknown as { _pc?: RTCPeerConnection | null })._pc ?? null;
}

function privateChannel(peer: Instance): RTCDataChannel | null {
  return (peer as unknown as { _channel?: RTCDataChannel | null })._channel ?? null;
}
