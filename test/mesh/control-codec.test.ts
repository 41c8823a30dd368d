import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_CONTROL_BYTES, MAX_PROMPT_IDS_PER_MESSAGE } from '../../src/config/limits.ts';
import { parsePeerMessage, parseServerMessage, writeMessage } from '../../src/mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../src/mesh/protocol/control.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { seededRandom } from './seeded.ts';

const token: PeerMessage = { type: 'token', epoch: 1, sequence: 2, position: 3, token: 4, finish: null };
const open: ServerMessage = {
  type: 'open',
  epoch: 1,
  sequence: 2,
  shard: 1,
  index: 0,
  route: [{ peer: 'p-0123456789abcdef', name: 'tab 1', start: 0, end: 6 }],
  wire: 'f16',
  maxPositions: 64,
  eosTokenIds: [2],
  sampling: GREEDY,
  promptTokens: 5,
  known: 5,
  awaitsResume: false,
};

describe('control messages', () => {
  it('survive a round trip', () => {
    expect(parsePeerMessage(writeMessage(token))).toEqual(token);
    expect(parseServerMessage(writeMessage(open))).toEqual(open);
  });

  it('hold the largest prompt part', () => {
    const ids = Array(MAX_PROMPT_IDS_PER_MESSAGE).fill(1_048_575);
    const prompt: ServerMessage = { type: 'prompt', epoch: 1, sequence: 2, position: 0, ids, last: true };
    expect(parseServerMessage(writeMessage(prompt))).toEqual(prompt);
  });

  it.each<[string, string, RegExp]>([
    ['no JSON', '{', /is not JSON/],
    ['no object', '3', /bad unknown message/],
    ['an unknown type', '{"type":"shout"}', /bad shout message: type/],
    ['the other side’s type', JSON.stringify(open), /bad open message: type/],
    [
      'a missing field',
      JSON.stringify({ ...token, token: undefined }),
      /bad token message: token: .*expected number/,
    ],
    ['a field of another kind', JSON.stringify({ ...token, position: '3' }), /position: .*expected number/],
    ['a number out of range', JSON.stringify({ ...token, sequence: -1 }), /sequence: /],
    [
      'a deep field',
      JSON.stringify({ type: 'sequence-failed', epoch: 1, sequence: 1, error: { code: 'X' } }),
      /error\.code/,
    ],
  ])('are refused with %s, naming the field', (_what, text, message) => {
    expect(() => parsePeerMessage(text)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('are refused above the size bound, counted in bytes, both ways', () => {
    const ascii = JSON.stringify({ type: 'leave', reason: 'x'.repeat(MAX_CONTROL_BYTES) });
    const wide = JSON.stringify({ type: 'leave', reason: '€'.repeat(MAX_CONTROL_BYTES / 2) });
    for (const text of [ascii, wide]) expect(() => parsePeerMessage(text)).toThrow(/at most 65536 B/);
    const signal: PeerMessage = {
      type: 'signal',
      to: 'peer-1',
      attempt: 1,
      data: 'x'.repeat(MAX_CONTROL_BYTES),
    };
    expect(() => writeMessage(signal)).toThrow(/a signal message to send/);
  });

  it('of another version are refused before their shape, saying which side should update', () => {
    const hello = (version: number) => JSON.stringify({ type: 'hello', version, unheardOf: true });
    const welcome = (version: number) => JSON.stringify({ type: 'welcome', version });
    expect(() => parsePeerMessage(hello(CONTROL_VERSION + 1))).toThrow(/update the server/);
    expect(() => parsePeerMessage(hello(CONTROL_VERSION - 1))).toThrow(/reload the page/);
    expect(() => parseServerMessage(welcome(CONTROL_VERSION + 1))).toThrow(/reload the page/);
    expect(() => parseServerMessage(welcome(CONTROL_VERSION - 1))).toThrow(
      expect.objectContaining({
        code: 'PROTOCOL_VERSION',
        message: expect.stringMatching(/update the server/),
      }),
    );
    expect(() => parseServerMessage(welcome(CONTROL_VERSION))).toThrow(/peer/);
  });

  it('damaged in any of 2,000 random ways parse or throw a ShoalError', () => {
    const random = seededRandom(3);
    const texts = [writeMessage(token), writeMessage(open)];
    let refused = 0;
    for (let i = 0; i < 2_000; i++) {
      const text = texts[i % 2]!;
      const at = Math.floor(random() * text.length);
      const damaged =
        text.slice(0, at) + String.fromCharCode(32 + Math.floor(random() * 95)) + text.slice(at + 1);
      try {
        (i % 2 === 0 ? parsePeerMessage : parseServerMessage)(damaged);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ShoalError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });
});
