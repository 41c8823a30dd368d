import { describe, expect, it } from 'vitest';
import { CONTROL_BURST, MAX_BATCH_ROWS, MAX_TOKENS_PER_MESSAGE } from '../../src/config/limits.ts';
import { parsePeerMessage, writeMessage } from '../../src/mesh/protocol/codec.ts';
import type { PickedToken } from '../../src/worker/stage-types.ts';
import { retoldMessages, tokenMessages } from '../../src/worker/token-messages.ts';

const id = { sequence: 3, epoch: 2 };
const picked = (position: number, logprobs?: PickedToken['logprobs']): PickedToken => ({
  position,
  token: 100_000 + position,
  finish: null,
  logprobs,
});
const many = (count: number, from = 0) => Array.from({ length: count }, (_, index) => picked(from + index));
const LOGPROBS = {
  picked: -12.345678901234567,
  top: Array.from({ length: 20 }, (_, token): [number, number] => [100_000 + token, -12.345678901234567]),
};

describe('tokens of a micro-batch', () => {
  it('go in one message; a single one in its own', () => {
    expect(tokenMessages([{ id, token: picked(7) }])).toEqual([
      { type: 'token', ...id, position: 7, token: 100_007, finish: null },
    ]);
    const batch = many(MAX_BATCH_ROWS).map((token, sequence) => ({ id: { sequence, epoch: 1 }, token }));
    const [message, ...more] = tokenMessages(batch);
    expect(more).toEqual([]);
    expect(parsePeerMessage(writeMessage(message!))).toEqual(message);
    expect(message).toMatchObject({ type: 'tokens', tokens: { length: MAX_BATCH_ROWS } });
  });

  it('with log probabilities go in as many as fit', () => {
    const batch = Array.from({ length: MAX_BATCH_ROWS }, (_, sequence) => ({
      id: { sequence, epoch: 1 },
      token: picked(7, LOGPROBS),
    }));
    const messages = tokenMessages(batch).map((message) => parsePeerMessage(writeMessage(message)));
    expect(messages.length).toBeGreaterThan(1);
    const told = messages.flatMap((message) => (message.type === 'tokens' ? message.tokens : []));
    expect(told).toMatchObject(batch.map((_, sequence) => ({ sequence, position: 7, logprobs: LOGPROBS })));
  });
});

describe('tokens that are told again', () => {
  it('follow each other over all messages, the last of which says so', () => {
    const messages = retoldMessages(id, 40, many(3 * MAX_TOKENS_PER_MESSAGE, 40)).map((message) =>
      parsePeerMessage(writeMessage(message)),
    );
    const told = messages.flatMap((message) => (message.type === 'retold' ? message : []));
    expect(told.map(({ last }) => last)).toEqual([...told.slice(1).map(() => false), true]);
    const all = told.flatMap(({ position, tokens }) =>
      tokens.map(({ token }, index) => [position + index, token]),
    );
    expect(all).toEqual(many(3 * MAX_TOKENS_PER_MESSAGE, 40).map(({ position, token }) => [position, token]));
  });

  it('are one message where there are none', () => {
    expect(retoldMessages(id, 40, [])).toEqual([
      { type: 'retold', ...id, position: 40, tokens: [], last: true },
    ]);
  });

  it('of eight answers that are far are no flood', () => {
    const messages = Array.from({ length: 8 }, () => retoldMessages(id, 0, many(600))).flat();
    expect(messages.length).toBeLessThan(CONTROL_BURST / 100);
  });
});
