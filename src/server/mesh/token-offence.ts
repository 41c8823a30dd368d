import type { ToldToken } from '../../mesh/protocol/control.ts';
import type { Misbehaviour } from '../../schedule/health-events.ts';

/** What is wrong with what a peer said, and whether it may happen to any. */
export interface Offence {
  readonly what: string;
  readonly code: 'PROTOCOL_INVALID' | 'POSITION_GAP';
  /** Only a worker that is broken, or means it, does this. */
  readonly how?: Misbehaviour;
}

export interface ExpectedToken {
  readonly position: number;
  readonly vocab: number;
  readonly topLogprobs: number | undefined;
}

/** What is wrong with a token of the last stage; null: nothing. */
export function offenceOfToken(message: ToldToken, expected: ExpectedToken): Offence | null {
  const { position, vocab, topLogprobs } = expected;
  if (message.position > position) {
    return {
      code: 'POSITION_GAP',
      what: `it sent the token at position ${message.position}, expected was ${position}`,
    };
  }
  if (message.token >= vocab) {
    return {
      code: 'PROTOCOL_INVALID',
      what: `it sent the token ${message.token} of a vocabulary of ${vocab}`,
      how: 'token-out-of-vocabulary',
    };
  }
  if (topLogprobs !== undefined && message.logprobs?.top.length !== topLogprobs) {
    return {
      code: 'PROTOCOL_INVALID',
      what: `it sent ${message.logprobs?.top.length ?? 'no'} log probabilities beside a token, ${topLogprobs} were asked for`,
    };
  }
  return null;
}
