import { expect, it } from 'vitest';
import {
  HIGH_WATER_BYTES,
  MAX_FRAME_BYTES,
  MAX_SLICE_BYTES,
  MAX_UNREAD_BYTES,
} from '../../src/config/limits.ts';
import { ChannelTransport } from '../../src/mesh/channel-transport.ts';
import { MemoryTransport } from '../../src/mesh/memory-transport.ts';
import { RelayChannel, relayThroughPage } from '../../src/mesh/relay-channel.ts';
import { FakeChannel } from './fake-channel.ts';
import { describeTransport } from './transport-contract.ts';

describeTransport('MemoryTransport', () => {
  const [a, b] = MemoryTransport.pair({ connecting: true });
  return {
    a,
    b,
    open: () => a.open(),
    stall: () => a.stall(),
    resume: () => a.resume(),
    lose: () => a.drop(),
    dispose: () => a.close(),
  };
});

describeTransport('ChannelTransport over a data channel', () => {
  const [left, right] = FakeChannel.pair();
  const [a, b] = [new ChannelTransport(left), new ChannelTransport(right)];
  return { a, b, ...faults(left, right), dispose: () => a.close() };
});

describeTransport('ChannelTransport over a relay through the page', () => {
  const [left, right] = FakeChannel.pair();
  const a = new ChannelTransport(new RelayChannel(relayThroughPage(left)));
  const b = new ChannelTransport(right);
  return {
    a,
    b,
    ...faults(left, right),
    dispose: () => {
      a.close();
      b.close();
    },
  };
});

function faults(left: FakeChannel, right: FakeChannel) {
  return {
    open: () => left.openBoth(),
    stall: () => {
      left.stalled = true;
    },
    resume: () => left.resume(),
    lose: () => {
      left.lose();
      right.lose();
    },
  };
}

function openPair(): { left: FakeChannel; right: FakeChannel; a: ChannelTransport; b: ChannelTransport } {
  const [left, right] = FakeChannel.pair();
  const [a, b] = [new ChannelTransport(left), new ChannelTransport(right)];
  left.openBoth();
  return { left, right, a, b };
}

it('a frame that fits one slice costs one send', async () => {
  const { left, a } = openPair();
  await a.send(new Uint8Array(28));
  expect(left.sends).toBe(1);
});

it('never hands a channel more than one slice above the high-water mark', async () => {
  const { left, a } = openPair();
  await a.send(new Uint8Array(MAX_FRAME_BYTES));
  expect(left.peakBytes).toBeGreaterThan(HIGH_WATER_BYTES / 2);
  expect(left.peakBytes).toBeLessThanOrEqual(HIGH_WATER_BYTES + MAX_SLICE_BYTES);
});

it('a relay counts the bytes of the channel behind it', async () => {
  const [left, right] = FakeChannel.pair();
  right.binaryType = 'arraybuffer';
  const relay = new RelayChannel(relayThroughPage(left));
  await new Promise<void>((opened) => {
    relay.onopen = () => opened();
    left.openBoth();
  });
  left.stalled = true;
  relay.bufferedAmountLowThreshold = 1_000;
  for (let i = 0; i < 3; i++) relay.send(new ArrayBuffer(1_000));
  await expect.poll(() => [left.bufferedAmount, relay.bufferedAmount]).toEqual([3_000, 3_000]);
  const low = new Promise<void>((told) => {
    relay.onbufferedamountlow = () => told();
  });
  left.bufferedAmountLowThreshold = 1_000;
  left.resume();
  await low;
  expect(relay.bufferedAmount).toBeLessThanOrEqual(1_000);
  relay.close();
});

it.each<[string, unknown]>([
  ['text', 'hello'],
  ['a slice of another frame', new Uint32Array([5, 10, 0, 0]).buffer],
  ['half a header', new ArrayBuffer(3)],
])('a peer that sends %s loses the link, with the reason', (_what, data) => {
  const { right, b } = openPair();
  let code = '';
  b.onClose((reason) => {
    code = reason.code;
  });
  right.receive(data);
  expect([code, b.state, right.readyState]).toEqual(['FRAME_INVALID', 'closed', 'closed']);
});

it('frames that nobody reads are bounded', async () => {
  const [a, b] = MemoryTransport.pair();
  let code = '';
  b.onClose((reason) => {
    code = reason.code;
  });
  for (let bytes = 0; bytes <= MAX_UNREAD_BYTES && code === ''; bytes += MAX_FRAME_BYTES) {
    await a.send(new Uint8Array(MAX_FRAME_BYTES));
  }
  expect(code).toBe('OVERLOADED');
});

it('a memory link that vanished takes frames and tells nobody', async () => {
  const [a, b] = MemoryTransport.pair();
  let got = 0;
  b.onFrame(() => got++);
  a.vanish();
  await a.send(new Uint8Array(4));
  await b.send(new Uint8Array(4));
  expect([got, a.state, b.state]).toEqual([0, 'open', 'open']);
});
