import { ShoalError } from '../config/errors.ts';
import type { NegotiatedPeer, NegotiatedPeerOptions, OpenNegotiatedPeer } from '../mesh/negotiated-peer.ts';
import type { Negotiation } from '../mesh/protocol/negotiation.ts';
import { SimChannel } from './channel.ts';
import type { Host, Network } from './network.ts';

/** Until a description of a session is made. */
const DESCRIBE_MS = 2;
/** A datagram of the handshake. */
const HANDSHAKE_BYTES = 300;
/** ICE, DTLS and SCTP go there and back so often before a channel opens. */
const HANDSHAKE_TRIPS = 4;

/** All WebRTC connections of a simulation: offers and answers go through the real connectors and the real server. */
export class SimPeers {
  readonly #network: Network;
  readonly #live = new Map<string, SimPeer>();
  #count = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** How a tab on `host` makes its connections. */
  opener(host: Host): OpenNegotiatedPeer {
    return (options) => {
      const id = `sim ${++this.#count}`;
      const peer = new SimPeer(id, host, options, this.#network, this.#live);
      this.#live.set(id, peer);
      return peer;
    };
  }

  /** Connections that a host has, standing or on their way. */
  of(host: Host): readonly SimPeer[] {
    return [...this.#live.values()].filter((peer) => peer.host === host);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Fault: the connections between two hosts are gone, and both are told. */
  break(a: Host, b: Host): void {
    for (const peer of this.of(a)) if (peer.other?.host === b) peer.break();
  }

  /** The host's process is gone; nobody is told. */
  cut(host: Host): void {
    for (const peer of this.of(host)) peer.cut();
  }
}

export class SimPeer implements NegotiatedPeer {
  readonly host: Host;
  readonly #id: string;
  readonly #options: NegotiatedPeerOptions;
  readonly #network: Network;
  readonly #live: Map<string, SimPeer>;
  readonly #end: SimChannel;
  #other: SimPeer | null = null;
  #isGone = false;

  constructor(
    id: string,
    host: Host,
    options: NegotiatedPeerOptions,
    network: Network,
    live: Map<string, SimPeer>,
  ) {
    this.#id = id;
    this.host = host;
    this.#options = options;
    this.#network = network;
    this.#live = live;
    this.#end = new SimChannel(host);
    if (options.initiator) this.#describe('offer');
  }

  get channel(): RTCDataChannel {
    // What `ChannelTransport` uses of it.
    return this.#end as unknown as RTCDataChannel;
  }

  get other(): SimPeer | null {
    return this.#other;
  }

  signal(data: unknown): void {
    const signal = data as Negotiation;
    if (this.#isGone || this.#other !== null || (signal.type !== 'offer' && signal.type !== 'answer')) return;
    const other = this.#live.get(signal.sdp);
    // It was given up meanwhile; whoever waits gives up too, in time.
    if (other === undefined) return;
    if (signal.type === 'offer') {
      this.#describe('answer');
      return;
    }
    this.#other = other;
    other.#other = this;
    SimChannel.join(this.#network, this.#end, other.#end);
    this.#shake(other, HANDSHAKE_TRIPS);
  }

  destroy(): void {
    const other = this.#other;
    if (this.#isGone) return;
    this.#leave('it was closed');
    if (other !== null)
      this.#network
        .stream(this.host, other.host)
        .send(HANDSHAKE_BYTES, () => other.#leave('the other side closed it'));
  }

  /** Both sides are told. */
  break(): void {
    const other = this.#other;
    this.cut();
    this.host.process.arrive(() => this.#leave('ICE failed'));
    other?.host.process.arrive(() => other.#leave('ICE failed'));
  }

  /** Nobody is told. */
  cut(): void {
    this.#end.cut();
    if (this.host.process.state === 'dead') this.#live.delete(this.#id);
  }

  #describe(type: 'offer' | 'answer'): void {
    this.host.process.after(DESCRIBE_MS, () => {
      if (!this.#isGone) this.#options.onSignal({ type, sdp: this.#id });
    });
  }

  /** To and fro, `trips` times; then each side's channel opens as it hears the last of it. */
  #shake(other: SimPeer, trips: number): void {
    this.#network.stream(this.host, other.host).send(HANDSHAKE_BYTES, () => {
      if (this.#isGone || other.#isGone) return;
      if (trips <= 1) other.#connected();
      if (trips > 0) other.#shake(this, trips - 1);
    });
  }

  #connected(): void {
    if (this.#end.readyState === 'closed') return;
    this.#options.onConnect();
    this.#end.open();
  }

  #leave(why: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#live.delete(this.#id);
    this.#end.lose();
    queueMicrotask(() => this.#options.onGone(new ShoalError('LINK_FAILED', `the connection ended: ${why}`)));
  }
}
