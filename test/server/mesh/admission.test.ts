import { describe, expect, it } from 'vitest';
import { JOIN_REFUSAL_MS, TURN_CREDENTIAL_MS } from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { turnCredentials } from '../../../src/server/mesh/connections/turn.ts';
import { ControlHarness, hello, JOIN } from './control-harness.ts';

const STUN = { urls: 'stun:192.0.2.1:3478' };
const RELAY = { urls: 'turn:192.0.2.2:3478', username: 'shared', credential: 'everyone-knows' };
const TURN = { urls: ['turn:turn.test:3478', 'turns:turn.test:5349'], secret: new Secret('north') };
const NOW_MS = 1_700_000_000_000;

describe('ICE servers', () => {
  it('with credentials are for workers, never for an anonymous hello', () => {
    const harness = new ControlHarness({ iceServers: [STUN, RELAY] });
    const socket = harness.greeted('a');
    expect(socket.messages('welcome')).toMatchObject([{ iceServers: [STUN] }]);
    expect(JSON.stringify(socket.received)).not.toContain('everyone-knows');
    socket.say(JOIN);
    expect(socket.messages('ice')).toEqual([{ type: 'ice', iceServers: [STUN, RELAY] }]);
    // A new capability is no reason to tell them again.
    socket.say(JOIN);
    expect(socket.messages('ice')).toHaveLength(1);
  });

  it('without credentials are told once', () => {
    const harness = new ControlHarness({ iceServers: [STUN] });
    const socket = harness.joined('a');
    expect(socket.messages('welcome')).toMatchObject([{ iceServers: [STUN] }]);
    expect(socket.messages('ice')).toEqual([]);
  });

  it('are told before the mesh hears of the join', () => {
    const order: string[] = [];
    const harness = new ControlHarness({ iceServers: [RELAY] });
    const { registry } = harness;
    const handle = () => order.push(`join, ${socket.messages('ice').length} told`);
    Object.assign(harness.options, { mesh: { registry, handle } });
    const socket = harness.greeted('a');
    socket.say(JOIN);
    expect(order).toEqual(['join, 1 told']);
  });
});

describe('TURN credentials', () => {
  it('are those of coturn’s REST scheme', () => {
    // printf %s 1700003600:p-0123456789abcdef | openssl dgst -sha1 -hmac north -binary | base64
    expect(turnCredentials(TURN, 'p-0123456789abcdef', NOW_MS)).toEqual({
      urls: TURN.urls,
      username: '1700003600:p-0123456789abcdef',
      credential: 'R3Wvbmz5rANfk7xayRCRqSpous0=',
    });
  });

  it('end within the hour, and are renewed before, for as long as it is a worker', async () => {
    const harness = new ControlHarness({ turn: TURN, epochMs: () => NOW_MS + harness.timers.now() });
    const socket = harness.joined('a');
    const live = async (ms: number) => {
      for (const end = harness.timers.now() + ms; harness.timers.now() < end; ) {
        socket.say({ type: 'alive' });
        await harness.timers.advance(5_000);
      }
    };
    const expiries = () =>
      socket.messages('ice').map(({ iceServers }) => Number(iceServers[0]?.username?.split(':')[0]) * 1_000);
    expect(expiries()).toEqual([NOW_MS + TURN_CREDENTIAL_MS]);
    await live(TURN_CREDENTIAL_MS / 2);
    expect(expiries()).toEqual([1, 1.5].map((times) => NOW_MS + times * TURN_CREDENTIAL_MS));
    socket.say({ type: 'leave', reason: 'tired' });
    const told = socket.messages('ice').length;
    await live(30_000);
    expect(socket.messages('ice')).toHaveLength(told);
    socket.say(JOIN);
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
