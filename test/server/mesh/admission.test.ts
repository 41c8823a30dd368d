import { describe, expect, it } from 'vitest';
import { JOIN_REFUSAL_MS, TURN_CREDENTIAL_MS } from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { turnCredentials } from '../../../src/server/mesh/connections/turn.ts';
import { ControlHarness, hello, JOIN } from './control-harness.ts';

const STUN = { urls: 'stun:192.0.2.1:3478' };
const RELAY = { urls: 'turn:192.0.2.2:3478', username: 'shared', credential: 'everyone-knows' };
const TURN = { urls: ['turn:turn.test:3478', 'turns:turn.test:5349'], secret: new Secret('north') };
const NOW_MS = 1_700_000_000_000;

/** The mesh wants so many links of it. */
const link = (harness: ControlHarness, name: string, count = 1) =>
  harness.peer(name).connection.send({
    type: 'links',
    peers: Array.from({ length: count }, () => ({ peer: 'p-0000000000000000', name: 'b' })),
  });

describe('ICE servers', () => {
  it('with credentials are for workers that have somebody to reach', () => {
    const harness = new ControlHarness({ iceServers: [STUN, RELAY] });
    const socket = harness.greeted('a');
    expect(socket.messages('welcome')).toMatchObject([{ iceServers: [STUN] }]);
    socket.say(JOIN);
    link(harness, 'a', 0);
    // Whoever says that it joins is no reason to tell them, but who has somebody to reach.
    expect(JSON.stringify(socket.received)).not.toContain('everyone-knows');
    link(harness, 'a');
    expect(socket.received.slice(-2)).toMatchObject([
      { type: 'ice', iceServers: [STUN, RELAY] },
      { type: 'links' },
    ]);
    // A new capability, or another link, is no reason to tell them again.
    socket.say(JOIN);
    link(harness, 'a');
    expect(socket.messages('ice')).toHaveLength(1);
  });

  it('without credentials are told once', () => {
    const harness = new ControlHarness({ iceServers: [STUN] });
    const socket = harness.joined('a');
    link(harness, 'a');
    expect(socket.messages('welcome')).toMatchObject([{ iceServers: [STUN] }]);
    expect(socket.messages('ice')).toEqual([]);
  });
});

describe('TURN credentials', () => {
  it('are those of coturn’s REST scheme', () => {
    // An hour, up to the next quarter of one: printf %s 1700003700:p-0123456789abcdef | openssl dgst -sha1 -hmac north -binary | base64
    expect(turnCredentials(TURN, 'p-0123456789abcdef', NOW_MS)).toEqual({
      urls: TURN.urls,
      username: '1700003700:p-0123456789abcdef',
      credential: 'QISoiGFsTDRqK5UzWsNo1ktb0h8=',
    });
  });

  it('are the same for a quarter of an hour, however often it leaves and joins', async () => {
    const harness = new ControlHarness({ turn: TURN, epochMs: () => NOW_MS + harness.timers.now() });
    const socket = harness.joined('a');
    const users = () => new Set(socket.messages('ice').map(({ iceServers }) => iceServers[0]?.username));
    for (let i = 0; i < 10; i++) {
      link(harness, 'a');
      socket.say({ type: 'leave', reason: 'for others' });
      await harness.timers.advance(5_000);
      socket.say(JOIN);
    }
    expect(users().size).toBe(1);
  });

  it('end soon after an hour, and are renewed before, for as long as it is a worker', async () => {
    const harness = new ControlHarness({ turn: TURN, epochMs: () => NOW_MS + harness.timers.now() });
    const socket = harness.joined('a');
    link(harness, 'a');
    const live = async (ms: number) => {
      for (const end = harness.timers.now() + ms; harness.timers.now() < end; ) {
        socket.say({ type: 'alive' });
        await harness.timers.advance(5_000);
      }
    };
    const expiries = () =>
      socket.messages('ice').map(({ iceServers }) => Number(iceServers[0]?.username?.split(':')[0]) * 1_000);
    const first = NOW_MS + TURN_CREDENTIAL_MS + 100_000;
    expect(expiries()).toEqual([first]);
    await live(TURN_CREDENTIAL_MS / 2);
    expect(expiries()).toEqual([first, first + TURN_CREDENTIAL_MS / 2]);
    socket.say({ type: 'leave', reason: 'tired' });
    const told = socket.messages('ice').length;
    await live(30_000);
    socket.say(JOIN);
    expect(socket.messages('ice')).toHaveLength(told);
    link(harness, 'a');
    expect(socket.messages('ice')).toHaveLength(told + 1);
  });
});

describe('a join key', () => {
  const refused = async (joinKey?: string) => {
    const harness = new ControlHarness({ joinKey: new Secret('correct horse'), iceServers: [RELAY] });
    const socket = harness.connect();
    socket.say(hello('a', joinKey === undefined ? {} : { joinKey }));
    // Whatever it says meanwhile.
    socket.say(hello('a', { joinKey: 'correct horse' }));
    socket.say(JOIN);
    expect(socket.received).toEqual([]);
    await harness.timers.advance(JOIN_REFUSAL_MS);
    expect(socket.ended?.code).toBe(1008);
    expect(harness.registry.all()).toEqual([]);
    expect(harness.timers.pending).toBe(0);
    return socket.messages('error');
  };

  it('that is missing or wrong is told with a sentence, after a while', async () => {
    expect(await refused()).toMatchObject([
      { fatal: true, error: { code: 'UNAUTHORIZED', message: expect.stringContaining('--join-key') } },
    ]);
    expect(await refused('correct horsf')).toMatchObject([{ fatal: true, error: { code: 'UNAUTHORIZED' } }]);
  });

  it('that is right opens, and one that nobody asks for does no harm', () => {
    for (const options of [{ joinKey: new Secret('correct horse') }, {}]) {
      const harness = new ControlHarness(options);
      const socket = harness.connect();
      socket.say(hello('a', { joinKey: 'correct horse' }));
      socket.say(JOIN);
      expect(harness.registry.workers()).toHaveLength(1);
    }
  });
});
