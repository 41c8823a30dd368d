import { beforeEach, describe, expect, it } from 'vitest';
import {
  CONTROL_BURST,
  CONTROL_BURST_BYTES,
  CONTROL_DEAD_MS,
  CONTROL_PING_MS,
  MAX_CONTROL_BYTES,
  MAX_PROTOCOL_OFFENCES,
  SIGNAL_BURST,
} from '../../../src/config/limits.ts';
import { ControlHarness, hello, JOIN } from './control-harness.ts';

let harness: ControlHarness;
beforeEach(() => {
  harness = new ControlHarness();
});

describe('bad messages', () => {
  it.each([
    ['not JSON', '{'],
    ['of no known type', '{"type":"steal"}'],
    ['with a wrong field', '{"type":"leave"}'],
    ['binary', null],
    ['a second hello', JSON.stringify(hello('again'))],
  ])('%s: a typed error, and the connection goes on', (_what, text) => {
    const socket = harness.greeted('a');
    socket.sayText(text);
    expect(socket.messages('error')).toMatchObject([{ fatal: false, error: { code: 'PROTOCOL_INVALID' } }]);
    socket.say(JOIN);
    expect(harness.handled.map(({ message }) => message)).toEqual([JOIN]);
  });

  it('again and again close the connection', () => {
    const socket = harness.greeted('a');
    for (let i = 0; i < MAX_PROTOCOL_OFFENCES; i++) socket.sayText('{');
    expect(socket.ended?.code).toBe(1008);
    expect(socket.messages('error')).toHaveLength(MAX_PROTOCOL_OFFENCES);
    expect(socket.messages('error').at(-1)).toMatchObject({ fatal: true });
    expect(harness.registry.all()).toEqual([]);
  });

  it('that come in a flood close it', () => {
    const socket = harness.greeted('a');
    for (let i = 0; i < CONTROL_BURST + MAX_PROTOCOL_OFFENCES + 10; i++) socket.say({ type: 'alive' });
    expect(socket.ended?.code).toBe(1013);
    expect(socket.messages('error').at(-1)).toMatchObject({ fatal: true, error: { code: 'OVERLOADED' } });
  });

  it('that come in a flood of bytes close it, though they are few', () => {
    const socket = harness.joined('a');
    const offences: string[] = [];
    harness.registry.watch({ offended: ({ name }, code) => offences.push(`${name} ${code}`) });
    const text = JSON.stringify({ type: 'alive', padding: 'x'.repeat(MAX_CONTROL_BYTES - 100) });
    const most = CONTROL_BURST_BYTES / MAX_CONTROL_BYTES + MAX_PROTOCOL_OFFENCES + 1;
    let sent = 0;
    while (socket.ended === null && sent < 2 * most) {
      socket.sayText(text);
      sent++;
    }
    expect(socket.ended?.code).toBe(1013);
    expect(sent).toBeLessThanOrEqual(most);
    expect(offences).toEqual(['a OVERLOADED']);
  });

  it('that are signals in a flood are dropped, and close it', () => {
    const socket = harness.joined('a');
    const signal = { type: 'signal', to: 'p-0000000000000000', attempt: 1, data: {} } as const;
    for (let i = 0; i < SIGNAL_BURST + MAX_PROTOCOL_OFFENCES + 10; i++) socket.say(signal);
    expect(socket.messages('error').at(-1)).toMatchObject({ error: { code: 'OVERLOADED' } });
    expect(socket.ended?.code).toBe(1013);
    expect(harness.handled.filter(({ message }) => message.type === 'signal')).toHaveLength(SIGNAL_BURST);
  });
});

describe('liveness', () => {
  it('is what the page says', async () => {
    const [silent, alive] = [harness.joined('silent'), harness.joined('alive')];
    for (let ms = 0; ms < CONTROL_DEAD_MS + CONTROL_PING_MS; ms += 5_000) {
      alive.say({ type: 'alive' });
      await harness.timers.advance(5_000);
    }
    expect(silent.ended).toMatchObject({ reason: 'terminated' });
    expect(alive.ended).toBeNull();
    expect(alive.pings).toBeGreaterThan(0);
    expect(harness.peer('alive').heardAt).toBe(harness.timers.now() - 5_000);
    expect(harness.peer('silent').state).toBe('away');
  });
});

describe('the name of a peer’s address', () => {
  it('is that of its last connection', () => {
    harness.joined('a', '2001:db8::/64');
    expect(harness.peer('a').address).toBe('2001:db8::/64');
  });
});
