import { describe, expect, it } from 'vitest';
import { FIRST_DIGEST, nextDigest } from '../../../src/server/answers/event-digest.ts';

const digestOf = (...events: (string | object)[]) =>
  events.reduce<string>((before, event) => {
    const data = typeof event === 'string' ? event : JSON.stringify(event);
    return nextDigest(before, new TextEncoder().encode(`data: ${data}\n\n`));
  }, FIRST_DIGEST);
const piece = (content: string, more = {}) => ({ choices: [{ index: 0, delta: { content }, ...more }] });

describe('the digest of events', () => {
  it('is another for another text, order or end, and for what came before', () => {
    const all = [
      digestOf(piece('a')),
      digestOf(piece('b')),
      digestOf(piece('a'), piece('b')),
      digestOf(piece('b'), piece('a')),
      digestOf(piece('a', { finish_reason: 'stop' })),
      digestOf(piece('a', { index: 1 })),
      digestOf(piece('a'), '[DONE]'),
      digestOf(piece('a'), { choices: [] }),
      digestOf({ error: { message: 'a' } }),
      digestOf({ error: { message: 'b' } }),
      digestOf('null'),
    ];
    expect(new Set([FIRST_DIGEST, ...all]).size).toBe(all.length + 1);
    for (const digest of all) expect(digest).toMatch(/^[0-9a-f]{8}$/);
  });

  it('leaves out what is another each time that the same is made: workers, times, log probabilities', () => {
    const logprobs = (logprob: number) => ({ logprobs: { content: [{ token: 'a', logprob }] } });
    const first = { ...piece('a', logprobs(-0.5)), usage: { seconds: 1 } };
    const again = { ...piece('a', logprobs(-0.5000001)), usage: { seconds: 2 }, shoal: { restarts: 1 } };
    expect(digestOf(first, '[DONE]')).toBe(digestOf(again, '[DONE]'));
    // Not where a tool is called with something of that name.
    const call = (text: string) => piece('a', { tool_calls: [{ arguments: `{"logprobs":${text}}` }] });
    expect(digestOf(call('1'))).not.toBe(digestOf(call('2')));
  });
});
