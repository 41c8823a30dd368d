import { MAX_TOKENS_PER_MESSAGE } from '../config/limits.ts';
import type { PeerMessage } from '../mesh/protocol/control.ts';
import { messageParts } from '../mesh/protocol/message-parts.ts';
import type { PickedToken, SequenceId, ToldPick } from './stage-types.ts';

/** What one micro-batch gave: a message for each sequence and step would look like a flood. */
export function tokenMessages(picks: readonly ToldPick[]): PeerMessage[] {
  const told = picks.map(({ id, token }) => ({ ...id, position: token.position, ...wordsOf(token) }));
  return messageParts(told, MAX_TOKENS_PER_MESSAGE).map((tokens) =>
    tokens.length === 1 ? { type: 'token', ...tokens[0]! } : { type: 'tokens', tokens },
  );
}

/** @param tokens from `position` on, without a gap */
export function retoldMessages(
  id: SequenceId,
  position: number,
  tokens: readonly PickedToken[],
): PeerMessage[] {
  const parts = messageParts(tokens.map(wordsOf), MAX_TOKENS_PER_MESSAGE);
  let at = position;
  return parts.map((part, index) => {
    const from = at;
    at += part.length;
    return { type: 'retold', ...id, position: from, tokens: part, last: index === parts.length - 1 };
  });
}

function wordsOf({ token, finish, logprobs }: PickedToken) {
  return logprobs === undefined ? { token, finish } : { token, finish, logprobs };
}
