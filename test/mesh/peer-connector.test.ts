import { beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import {
  LINK_OPEN_MS,
  MAX_EARLY_SIGNALS,
  MAX_LINK_ATTEMPTS,
  SIGNAL_LOST_MS,
} from '../../src/config/limits.ts';
import type { NegotiatedPeer, NegotiatedPeerOptions } from '../../src/mesh/negotiated-peer.ts';
import { PeerConnector } from '../../src/mesh/peer-connector.ts';
import { FakeTimers } from '../support/fake-timers.ts';
import { FakeChannel } from './fake-channel.ts';

const LOW = 'peer-1';
const HIGH = 'peer-9';
const offer = { type: 'offer', sdp: 'v=0 offer' };
const answer = { type: 'answer', sdp: 'v=0 answer' };
const candidate = {
  type: 'candidate',
  candidate: { candidate: 'candidate:1', sdpMLineIndex: 0, sdpMid: '0' },
};

/** A connection under the test's hand. */
class FakePeer implements NegotiatedPeer {
  readonly channel = FakeChannel.pair()[0] as unknown as RTCDataChannel;
  readonly signals: unknown[] = [];
  destroyed = 0;
  readonly options: NegotiatedPeerOptions;

  constructor(options: NegotiatedPeerOptions) {
    this.options = options;
  }

  signal(data: unknown): void {
    this.signals.push(data);
  }

  destroy(): void {
    this.destroyed += 1;
  }

  die(): void {
    this.options.onGone(new ShoalError('LINK_FAILED', 'died'));
  }
}

let timers: FakeTimers;
let made: FakePeer[];
let sent: [string, number, unknown][];
let delivered: [string, number, unknown][];
let failed: string[];
let ended: [string, number][];

beforeEach(() => {
  timers = new FakeTimers();
  [made, sent, delivered, failed, ended] = [[], [], [], [], []];
});

function connector(self: string, deliver?: (end: unknown) => void): PeerConnector {
  return new PeerConnector({
    self,
    iceServers: [{ urls: 'stun:own.example' }],
    timers,
    sendSignal: (to, attempt, data) => sent.push([to, attempt, data]),
    deliver: (peer, attempt, end) => {
      deliver?.(end);
      delivered.push([peer, attempt, end]);
    },
    onFailed: (peer, reason) => failed.push(`${peer} ${reason.code} ${reason.message}`),
    onEnded: (peer, attempt) => ended.push([peer, attempt]),
    open: (options) => {
      const peer = new FakePeer(options);
      made.push(peer);
      return peer;
    },
  });
}

describe('the peer with the smaller id', () => {
  it('offers, hands its channel over at once, and follows signals of this attempt only', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    expect(made[0]!.options).toMatchObject({ initiator: true, iceServers: [{ urls: 'stun:own.example' }] });
    expect(delivered).toEqual([[HIGH, 1, made[0]!.channel]]);
    made[0]!.options.onSignal(offer);
    made[0]!.options.onSignal({ type: 'renegotiate', renegotiate: true });
    expect(sent).toEqual([[HIGH, 1, offer]]);
    low.signal(HIGH, 0, answer);
    low.signal(HIGH, 2, answer);
    low.signal(HIGH, 1, offer);
    low.signal(HIGH, 1, answer);
    expect(made[0]!.signals).toEqual([answer]);
  });

  it('begins anew for a side that still lacks an offer after a while: it was lost', async () => {
    const low = connector(LOW);
    low.connect(HIGH);
    await timers.advance(SIGNAL_LOST_MS - 1);
    low.signal(HIGH, 0, { type: 'want' });
    expect(made).toHaveLength(1);
    await timers.advance(1);
    low.signal(HIGH, 0, { type: 'want' });
    expect(delivered.map(([, attempt]) => attempt)).toEqual([1, 2]);
    expect(made[0]!.destroyed).toBe(1);
  });

  it('uses the ICE servers that were told last', () => {
    const low = connector(LOW);
    low.iceServers = [{ urls: 'turn:own.example' }];
    low.connect(HIGH);
    expect(made[0]!.options.iceServers).toEqual([{ urls: 'turn:own.example' }]);
  });

  it('makes one connection however many routes ask', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    low.connect(HIGH);
    made[0]!.options.onConnect();
    low.connect(HIGH);
    expect(made).toHaveLength(1);
  });

  it('tries again with a new connection when one does not open in time, then gives up', async () => {
    const low = connector(LOW);
    low.connect(HIGH);
    for (let attempt = 1; attempt <= MAX_LINK_ATTEMPTS; attempt++) {
      expect(delivered.map(([, n]) => n)).toEqual(Array.from({ length: attempt }, (_, i) => i + 1));
      await timers.advance(LINK_OPEN_MS);
      expect(made[attempt - 1]!.destroyed).toBeGreaterThan(0);
    }
    expect(made).toHaveLength(MAX_LINK_ATTEMPTS);
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatch(/^peer-9 LINK_FAILED 4 attempts/);
    expect(timers.pending).toBe(0);
    low.connect(HIGH);
    expect(delivered.at(-1)?.[1]).toBe(MAX_LINK_ATTEMPTS + 1);
  });

  it('tries again at once when a connection fails before it opens', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    made[0]!.die();
    expect(made).toHaveLength(2);
    // A late word of the dead one changes nothing.
    made[0]!.options.onSignal(offer);
    made[0]!.options.onConnect();
    made[0]!.die();
    expect([made.length, sent.length]).toEqual([2, 0]);
  });

  it('lets an opened connection that ends rest until it is wanted again', async () => {
    const low = connector(LOW);
    low.connect(HIGH);
    made[0]!.options.onConnect();
    await timers.advance(10 * LINK_OPEN_MS);
    expect(made).toHaveLength(1);
    expect(low.isOpen(HIGH)).toBe(true);
    made[0]!.die();
    expect([made.length, failed.length, low.isOpen(HIGH)]).toEqual([1, 0, false]);
    expect(ended).toEqual([[HIGH, 1]]);
    low.connect(HIGH);
    expect(delivered.map(([, attempt]) => attempt)).toEqual([1, 2]);
  });

  it('starts the next attempt when the other side wants one, not when its offer is merely on its way', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    low.signal(HIGH, 0, { type: 'want' });
    expect(made).toHaveLength(1);
    made[0]!.options.onConnect();
    low.signal(HIGH, 1, { type: 'want' });
    expect(made).toHaveLength(2);
    expect(made[0]!.destroyed).toBe(1);
    expect(delivered.at(-1)?.[1]).toBe(2);
  });
});

describe('the peer with the larger id', () => {
  it('waits for the offer, and says that it does', () => {
    const high = connector(HIGH);
    high.connect(LOW);
    expect(sent).toEqual([[LOW, 0, { type: 'want' }]]);
    expect(made).toHaveLength(0);
    high.signal(LOW, 1, offer);
    high.signal(LOW, 1, candidate);
    expect(made[0]!.options.initiator).toBe(false);
    expect(made[0]!.signals).toEqual([offer, candidate]);
    expect(delivered).toEqual([[LOW, 1, made[0]!.channel]]);
  });

  it('keeps signals that come before it is told to connect', () => {
    const high = connector(HIGH);
    high.signal(LOW, 1, offer);
    high.signal(LOW, 1, candidate);
    expect(made).toHaveLength(0);
    high.connect(LOW);
    expect(made[0]!.signals).toEqual([offer, candidate]);
    expect(sent).toEqual([]);
  });

  it('keeps only the newest attempt, and a bounded number of signals', () => {
    const high = connector(HIGH);
    high.signal(LOW, 1, offer);
    high.signal(LOW, 2, offer);
    high.signal(LOW, 1, candidate);
    for (let i = 0; i < 2 * MAX_EARLY_SIGNALS; i++) high.signal(LOW, 2, candidate);
    high.connect(LOW);
    expect(made).toHaveLength(1);
    expect(made[0]!.signals).toHaveLength(MAX_EARLY_SIGNALS);
    expect(delivered[0]![1]).toBe(2);
  });

  it('follows a newer attempt, and ignores what is left of an older one', () => {
    const high = connector(HIGH);
    high.connect(LOW);
    high.signal(LOW, 1, offer);
    made[0]!.options.onConnect();
    high.signal(LOW, 2, offer);
    high.signal(LOW, 1, candidate);
    high.signal(LOW, 1, offer);
    expect(made).toHaveLength(2);
    expect(made[0]!.destroyed).toBe(1);
    expect(made[1]!.signals).toEqual([offer]);
  });

  it('after a drop ignores the old attempt and asks for the next', () => {
    const high = connector(HIGH);
    high.connect(LOW);
    high.signal(LOW, 1, offer);
    high.drop(LOW);
    expect(made[0]!.destroyed).toBe(1);
    high.signal(LOW, 1, offer);
    high.connect(LOW);
    expect(made).toHaveLength(1);
    expect(sent.at(-1)).toEqual([LOW, 1, { type: 'want' }]);
  });

  it('keeps an offer that came before it was told of the fall', () => {
    const high = connector(HIGH);
    high.connect(LOW);
    high.signal(LOW, 1, offer);
    made[0]!.options.onConnect();
    made[0]!.die();
    high.signal(LOW, 2, offer);
    high.drop(LOW, 1);
    high.connect(LOW);
    expect(made[1]!.signals).toEqual([offer]);
    expect(delivered.at(-1)?.[1]).toBe(2);
  });

  it('gives up when nothing comes', async () => {
    const high = connector(HIGH);
    high.connect(LOW);
    await timers.advance(LINK_OPEN_MS * MAX_LINK_ATTEMPTS);
    expect(failed).toHaveLength(1);
    expect(timers.pending).toBe(0);
  });
});

describe('either side', () => {
  it('relays where the transfer is refused', () => {
    const low = connector(LOW, (end) => {
      if (!(end instanceof MessagePort)) throw new DOMException('no', 'DataCloneError');
    });
    low.connect(HIGH);
    expect(delivered).toHaveLength(1);
    const end = delivered[0]![2] as MessagePort;
    expect(end).toBeInstanceOf(MessagePort);
    end.close();
  });

  it('fails plainly when the worker cannot be reached at all', () => {
    const low = connector(LOW, () => {
      throw new RangeError('the worker is gone');
    });
    low.connect(HIGH);
    expect(failed).toEqual(['peer-9 LINK_FAILED the worker is gone']);
    expect(made[0]!.destroyed).toBe(1);
  });

  it.each([
    ['no object', 'offer'],
    ['an unknown type', { type: 'transceiverRequest' }],
    ['an endless description', { type: 'offer', sdp: 'x'.repeat(40_000) }],
    ['a candidate without a line', { type: 'candidate', candidate: {} }],
  ])('refuses %s', (_what, data) => {
    const high = connector(HIGH);
    high.connect(LOW);
    expect(() => high.signal(LOW, 1, data)).toThrow(expect.objectContaining({ code: 'PROTOCOL_INVALID' }));
    expect(made).toHaveLength(0);
  });

  it('does not drop a newer attempt for the fall of an older one', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    made[0]!.options.onConnect();
    low.signal(HIGH, 1, { type: 'want' });
    low.drop(HIGH, 1);
    expect(made[1]!.destroyed).toBe(0);
    low.drop(HIGH, 2);
    expect(made[1]!.destroyed).toBe(1);
  });

  it('closes every link', () => {
    const low = connector(LOW);
    low.connect(HIGH);
    low.connect('peer-5');
    low.close();
    expect(made.map((peer) => peer.destroyed)).toEqual([1, 1]);
    expect(timers.pending).toBe(0);
  });
});
