import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { UNRECEIPTED_CLAIM_MS } from '../../../src/config/limits.ts';
import type { Capability, HeldShard, ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { Holdings } from '../../../src/server/mesh/holdings/holdings.ts';
import { type ReceiptKey, Receipts } from '../../../src/server/mesh/holdings/receipts.ts';
import { Peer } from '../../../src/server/mesh/peers/peer.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { CAPABILITY } from './fake-worker.ts';
import { COSTS } from './harness.ts';

const KEY: ReceiptKey = { bytes: new Uint8Array(32).fill(7), isKept: true };
const LAYERS = { start: 0, end: 2, embedding: true, head: false };

let timers: FakeTimers;
let heard: ServerMessage[];

beforeEach(() => {
  timers = new FakeTimers();
  heard = [];
});

function peerOf(name: string, capability: Partial<Capability> = {}): Peer {
  const peer = new Peer(`p-${name}`, name, { send: (message) => void heard.push(message), close: () => {} });
  peer.capability = { ...CAPABILITY, ...capability };
  return peer;
}

function holdingsOf(receiptKey: ReceiptKey): Holdings {
  const log = pino({ level: 'silent' });
  const options = { model: 'fake', costs: COSTS, quantization: 'native', receiptKey, timers, log } as const;
  return new Holdings(options, { held: () => {}, lagging: () => {}, lost: () => {} });
}

const claim = (over: Partial<HeldShard> = {}): HeldShard => ({
  shard: 1,
  model: 'fake',
  quantization: 'native',
  layers: LAYERS,
  gpuBytes: 2_000,
  ...over,
});

/** What a worker that was asked for the shard says of it. */
function receipted(holdings: Holdings, peer: Peer): HeldShard {
  holdings.load(peer, LAYERS);
  const hold = heard.find((message) => message.type === 'hold')!;
  heard.length = 0;
  return claim({ shard: hold.shard, receipt: hold.receipt! });
}

describe('what a worker says that it holds', () => {
  it('is believed by the receipt, by another server with the same key too', () => {
    const peer = peerOf('a');
    const held = receipted(holdingsOf(KEY), peer);
    const next = holdingsOf(KEY);
    expect(next.reconcile(peer, [held])).toBe(true);
    expect(next.of(peer)).toHaveLength(1);
    expect(heard).toEqual([]);
  });

  it.each([
    ['no receipt', { receipt: undefined }],
    ['an invented receipt', { receipt: 'A'.repeat(22) }],
    ['a receipt of other layers', { layers: { ...LAYERS, end: 3 } }],
    ['a receipt of another shard number', { shard: 9 }],
    ['a receipt that is longer', { receipt: `${'A'.repeat(22)}AA` }],
  ])('is dropped with %s', (_, over) => {
    const peer = peerOf('a');
    const held = { ...receipted(holdingsOf(KEY), peer), ...over } as HeldShard;
    const next = holdingsOf(KEY);
    expect(next.reconcile(peer, [held])).toBe(false);
    expect(next.of(peer)).toEqual([]);
    expect(heard).toEqual([{ type: 'drop', shard: held.shard }]);
  });

  it('is dropped with the receipt of another worker', () => {
    const held = receipted(holdingsOf(KEY), peerOf('a'));
    const thief = peerOf('b');
    expect(holdingsOf(KEY).reconcile(thief, [held])).toBe(false);
    expect(heard).toEqual([{ type: 'drop', shard: held.shard }]);
  });

  it('is believed without a receipt by a server that has just started and kept no key, as far as it fits the memory', () => {
    const young = holdingsOf({ ...KEY, isKept: false });
    expect(young.reconcile(peerOf('a'), [claim()])).toBe(true);
    expect(young.reconcile(peerOf('liar', { memoryBudgetBytes: 2_000 }), [claim({ gpuBytes: 0 })])).toBe(
      false,
    );
    const old = holdingsOf({ ...KEY, isKept: false });
    timers.advance(UNRECEIPTED_CLAIM_MS + 1);
    expect(old.reconcile(peerOf('b'), [claim()])).toBe(false);
  });
});

describe('a receipt', () => {
  it('fits the message, and tells nothing without the key', () => {
    const held = claim();
    const receipt = new Receipts(KEY.bytes).give('p-a', held);
    expect(receipt).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(new Receipts(new Uint8Array(32)).isOurs('p-a', { ...held, receipt })).toBe(false);
    expect(new Receipts(KEY.bytes).isOurs('p-a', { ...held, receipt })).toBe(true);
  });
});
