import { pino } from 'pino';
import { CONTROL_VERSION, type PeerMessage } from '../../../src/mesh/protocol/control.ts';
import {
  ControlConnection,
  type ControlOptions,
  type MeshMessage,
} from '../../../src/server/mesh/connections/control-connection.ts';
import { Lobby } from '../../../src/server/mesh/connections/lobby.ts';
import type { Peer } from '../../../src/server/mesh/peers/peer.ts';
import { Registry } from '../../../src/server/mesh/peers/registry.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { CAPABILITY } from './capability.ts';
import { MemorySocket } from './memory-socket.ts';

/** 43 characters that differ by `seed`. */
export const keyOf = (seed: string): string => seed.padEnd(43, '_').slice(0, 43);

export const hello = (seed: string, more: { joinKey?: string } = {}) =>
  ({ type: 'hello', version: CONTROL_VERSION, name: seed, key: keyOf(seed), ...more }) as const;

export const JOIN: PeerMessage = { type: 'join', capability: CAPABILITY, held: [], links: [] };

/** The server's end of control connections, with a mesh that only notes what it is told; no network, no time of its own. */
export class ControlHarness {
  readonly timers = new FakeTimers();
  readonly #lobby = new Lobby();
  /** What became of peers and what they said, as text. */
  readonly events: string[] = [];
  readonly handled: { readonly peer: Peer; readonly message: MeshMessage }[] = [];
  readonly registry: Registry;
  readonly options: ControlOptions;

  constructor(options: Partial<ControlOptions> = {}) {
    const log = pino({ level: 'silent' });
    this.registry = new Registry({ timers: this.timers, log });
    this.registry.watch({
      connected: ({ name }) => this.events.push(`${name} connected`),
      away: ({ name }, reason) => this.events.push(`${name} away: ${reason}`),
      returned: ({ name }) => this.events.push(`${name} returned`),
      gone: ({ name }, reason) => this.events.push(`${name} gone: ${reason}`),
    });
    const handle = (peer: Peer, message: MeshMessage) => {
      this.handled.push({ peer, message });
      if (message.type === 'leave') this.registry.leave(peer);
    };
    this.options = {
      mesh: { registry: this.registry, handle },
      iceServers: [],
      timers: this.timers,
      log,
      ...options,
    };
  }

  connect(address: string | null = '192.0.2.7'): MemorySocket {
    const socket = new MemorySocket();
    new ControlConnection(socket, address, this.#lobby, this.options);
    return socket;
  }

  /** A peer that has said hello. */
  greeted(seed: string, address?: string): MemorySocket {
    const socket = this.connect(address);
    socket.say(hello(seed));
    return socket;
  }

  joined(seed: string, address?: string): MemorySocket {
    const socket = this.greeted(seed, address);
    socket.say(JOIN);
    return socket;
  }

  /** By the name that it gave itself. */
  peer(name: string): Peer {
    const peer = this.registry.all().find((candidate) => candidate.name === name);
    if (peer === undefined) throw new Error(`no peer ${name}`);
    return peer;
  }
}
