import { describe, expect, it } from 'vitest';
import { ChannelTransport } from '../../src/mesh/channel-transport.ts';
import type { ControlSocket } from '../../src/server/mesh/connections/control-socket.ts';
import { SimChannel } from '../../src/sim/channel.ts';
import { VirtualClock } from '../../src/sim/clock.ts';
import { type Host, Network, type Topology } from '../../src/sim/network.ts';
import { SimProcess } from '../../src/sim/process.ts';
import { SeededRandom } from '../../src/sim/random.ts';
import { SimSocket } from '../../src/sim/socket.ts';
import { LAN, LOOPBACK, REGION_COUNT, WAN } from '../../src/sim/topologies.ts';

const PLAIN: Topology = { latencyMs: () => 10, jitter: 0, loss: 0 };

function setup(topology: Topology = PLAIN, seed = 1) {
  const clock = new VirtualClock();
  const network = new Network(clock, new SeededRandom(seed), topology);
  const host = (name: string, site = 0): Host => ({
    name,
    process: new SimProcess(name, clock),
    site,
    uplinkBytesPerMs: 1_000,
  });
  return { clock, network, host, a: host('a'), b: host('b') };
}

describe('SimProcess', () => {
  it('does nothing while frozen, and what came due in order when it thaws', async () => {
    const { clock, a } = setup();
    const seen: string[] = [];
    a.process.after(10, () => seen.push(`timer ${clock.now()}`));
    a.process.freeze();
    clock.after(5, () => a.process.arrive(() => seen.push('arrived first')));
    clock.after(20, () => a.process.arrive(() => seen.push('arrived last')));
    await clock.run(50);
    expect(seen).toEqual([]);
    expect(a.process.now()).toBe(50);
    a.process.thaw();
    // What comes now waits behind what waited.
    a.process.arrive(() => seen.push('came after'));
    await clock.run(1);
    expect(seen).toEqual(['arrived first', 'timer 50', 'arrived last', 'came after']);
    expect(a.process.pending).toBe(0);
  });

  it('cancels what came due while it was frozen, when it thaws', async () => {
    const { clock, a } = setup();
    const seen: string[] = [];
    const cancelled = a.process.after(10, () => seen.push('never'));
    a.process.after(5, () => cancelled());
    a.process.freeze();
    await clock.run(20);
    a.process.thaw();
    await clock.run(20);
    expect(seen).toEqual([]);
  });

  it('never does anything once killed', async () => {
    const { clock, a } = setup();
    a.process.after(10, () => expect.unreachable());
    a.process.kill();
    a.process.after(10, () => expect.unreachable());
    a.process.arrive(() => expect.unreachable());
    await clock.run(20);
    expect([a.process.pending, clock.pending]).toEqual([0, 0]);
  });
});

describe('Network', () => {
  it('takes latency and the time on the uplink, which all streams of a host share', async () => {
    const { clock, network, host, a, b } = setup();
    const seen: [string, number][] = [];
    const stream = network.stream(a, b);
    stream.send(5_000, () => seen.push(['large', clock.now()]));
    network.stream(a, host('c')).send(1_000, () => seen.push(['to another', clock.now()]));
    network.stream(b, a).send(1_000, () => seen.push(['back', clock.now()]));
    await clock.run(100);
    expect(seen).toEqual([
      ['back', 11],
      ['large', 15],
      ['to another', 16],
    ]);
  });

  it('keeps the order of a stream whatever is delayed, and none between two', async () => {
    const { clock, network, a, b } = setup({ latencyMs: () => 20, jitter: 1, loss: 0.1 }, 4);
    const [one, two] = [network.stream(a, b), network.stream(a, b)];
    const seen: number[] = [];
    for (let i = 0; i < 200; i++) (i % 2 === 0 ? one : two).send(1, () => seen.push(i));
    await clock.run(10_000);
    const evens = seen.filter((i) => i % 2 === 0);
    expect(evens).toEqual([...evens].sort((x, y) => x - y));
    expect(evens).toHaveLength(100);
    expect(seen).not.toEqual([...seen].sort((x, y) => x - y));
  });

  it('holds what a blocked path is given until it is free again, in order', async () => {
    const { clock, network, a, b } = setup();
    const seen: string[] = [];
    const stream = network.stream(a, b);
    stream.send(1, () => seen.push('on its way already'));
    network.block(a, b);
    stream.send(1, () => seen.push('one'));
    stream.send(1, () => seen.push('two'));
    network.stream(b, a).send(1, () => seen.push('the other direction'));
    await clock.run(100);
    expect(seen).toEqual(['on its way already', 'the other direction']);
    network.unblock(a, b);
    stream.send(1, () => seen.push('three'));
    await clock.run(100);
    expect(seen.slice(2)).toEqual(['one', 'two', 'three']);
  });

  it('is the same for the same seed', async () => {
    const trace = async (seed: number) => {
      const { clock, network, a, b } = setup(WAN, seed);
      const seen: number[] = [];
      const streams = [network.stream(a, b), network.stream(b, a), network.stream(a, b)];
      for (let i = 0; i < 100; i++) streams[i % 3]!.send(100, () => seen.push(clock.now()));
      await clock.run(10_000);
      return seen;
    };
    expect(await trace(7)).toEqual(await trace(7));
    expect(await trace(7)).not.toEqual(await trace(8));
  });

  it('has topologies that are symmetric, and nearer within a site than between', () => {
    for (const topology of [LOOPBACK, LAN, WAN]) {
      for (let from = 0; from < REGION_COUNT; from++) {
        for (let to = 0; to < REGION_COUNT; to++) {
          expect(topology.latencyMs(from, to)).toBe(topology.latencyMs(to, from));
          expect(topology.latencyMs(from, from)).toBeLessThanOrEqual(topology.latencyMs(from, to));
        }
      }
    }
  });
});

describe('SimChannel', () => {
  function pair(network: Network, a: Host, b: Host): [SimChannel, SimChannel] {
    const ends: [SimChannel, SimChannel] = [new SimChannel(a), new SimChannel(b)];
    SimChannel.join(network, ...ends);
    return ends;
  }

  it('carries frames under the real transport, cut into slices and put together again', async () => {
    const { clock, network, a, b } = setup({ latencyMs: () => 10, jitter: 0.5, loss: 0.01 });
    const [left, right] = pair(network, a, b);
    const [near, far] = [new ChannelTransport(left), new ChannelTransport(right)];
    const received: Uint8Array[] = [];
    far.onFrame((frame) => received.push(frame));
    const frames = [3, 70_000, 1, 600_000].map((bytes, index) => new Uint8Array(bytes).fill(index + 1));
    const sent = Promise.all(frames.map((frame) => near.send(frame)));
    left.open();
    await clock.run(20_000);
    await sent;
    expect(received.map((frame) => [frame.length, frame[0]])).toEqual(
      frames.map((frame) => [frame.length, frame[0]]),
    );
    expect(left.bufferedAmount).toBe(0);
  });

  it('tells the other end that it closed, after what was sent; and tells nobody when it is cut', async () => {
    const { clock, network, a, b } = setup();
    const [left, right] = pair(network, a, b);
    const seen: string[] = [];
    right.onmessage = () => seen.push('message');
    right.onclose = () => seen.push(`closed ${clock.now()}`);
    left.open();
    left.send(new ArrayBuffer(4));
    left.close();
    await clock.run(100);
    expect(seen[0]).toBe('message');
    expect(seen).toHaveLength(2);
    expect(() => left.send(new ArrayBuffer(4))).toThrow('not open');

    const [near, far] = pair(network, a, b);
    far.onmessage = () => seen.push('never');
    far.onclose = () => seen.push('never');
    near.open();
    near.send(new ArrayBuffer(4));
    near.cut();
    near.close();
    await clock.run(100);
    expect(seen).toHaveLength(2);
    far.onclose = () => seen.push('lost');
    far.lose();
    far.lose();
    expect(seen.slice(2)).toEqual(['lost']);
  });
});

describe('SimSocket', () => {
  function connect(hasServer = true) {
    const { clock, network, a: tab, b: server } = setup();
    const seen: string[] = [];
    let end: ControlSocket | null = null;
    const accept = (accepted: ControlSocket) => {
      end = accepted;
      end.listen({
        message: (text, bytes) => seen.push(`server got ${text}, ${bytes} B`),
        failed: () => {},
        closed: () => seen.push('server lost it'),
      });
    };
    const socket = new SimSocket(network, tab, server, () => (hasServer ? { host: server, accept } : null));
    socket.onopen = () => seen.push(`open ${Math.round(clock.now())}`);
    socket.onmessage = ({ data }) => seen.push(`tab got ${String(data)}`);
    socket.onclose = ({ code, reason }) => seen.push(`tab lost it: ${code} ${reason}`);
    socket.onEnded = () => seen.push('over');
    return { clock, network, tab, server, socket, seen, end: () => end! };
  }

  it('opens after the handshake and carries text both ways', async () => {
    const { clock, socket, seen, end } = connect();
    socket.send('too early');
    await clock.run(100);
    end().send('hello');
    socket.send('hi');
    await clock.run(100);
    expect(seen).toEqual(['open 40', 'server got hi, 2 B', 'tab got hello']);
    expect([socket.bufferedAmount, end().bufferedAmount]).toEqual([0, 0]);
  });

  it('is refused where nobody listens', async () => {
    const { clock, seen } = connect(false);
    await clock.run(100);
    expect(seen).toEqual(['tab lost it: 1006 ']);
  });

  it('is closed by either side, and by the end of either process', async () => {
    const closed = connect();
    await closed.clock.run(100);
    closed.end().close(4001, 'replaced');
    await closed.clock.run(500);
    expect(closed.seen.slice(1)).toEqual(['tab lost it: 4001 replaced', 'server lost it', 'over']);

    const left = connect();
    await left.clock.run(100);
    left.socket.close();
    await left.clock.run(100);
    expect(left.seen.slice(1)).toEqual(['server lost it', 'over']);

    const killed = connect();
    await killed.clock.run(100);
    killed.tab.process.kill();
    killed.socket.reset();
    await killed.clock.run(100);
    expect(killed.seen.slice(1)).toEqual(['server lost it', 'over']);

    const restarted = connect();
    await restarted.clock.run(100);
    restarted.server.process.kill();
    restarted.socket.refuse();
    await restarted.clock.run(100);
    expect(restarted.seen.slice(1)).toEqual(['tab lost it: 1006 ']);

    const broken = connect();
    await broken.clock.run(100);
    broken.socket.break();
    expect(broken.seen.slice(1)).toEqual(['tab lost it: 1006 ', 'server lost it', 'over']);

    const terminated = connect();
    await terminated.clock.run(100);
    terminated.end().terminate();
    await terminated.clock.run(100);
    expect(terminated.seen.slice(1)).toEqual(['server lost it', 'over', 'tab lost it: 1006 ']);
  });

  it('delivers to a frozen tab when it thaws', async () => {
    const { clock, tab, seen, end } = connect();
    await clock.run(100);
    tab.process.freeze();
    end().ping();
    end().send('hello');
    await clock.run(100);
    expect(seen.slice(1)).toEqual([]);
    tab.process.thaw();
    await clock.run(100);
    expect(seen.slice(1)).toEqual(['tab got hello']);
  });

  it('reaches the server that runs when it arrives, not the one that ran when it left', async () => {
    const { clock, network, a: tab, b: gone, host } = setup();
    gone.process.kill();
    const anew = host('b');
    const seen: string[] = [];
    const accept = () => seen.push('accepted');
    const socket = new SimSocket(network, tab, gone, () => ({ host: anew, accept }));
    socket.onopen = () => seen.push('open');
    await clock.run(100);
    expect(seen).toEqual(['accepted', 'open']);
  });
});
