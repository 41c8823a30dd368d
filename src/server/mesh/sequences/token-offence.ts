import type { GenerateRequest } from '../../../backend/fxn/generator.ts';
import type { ToldToken } from '../../../mesh/protocol/control.ts';
import type { Misbehaviour } from '../../../schedule/health/health-events.ts';

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
  /** What the token means for the sequence; null: others follow. */
  readonly finish: Finish | null;
}

export type Finish = 'stop' | 'length';

/** What a token at `position` ends the sequence with; null: others follow. */
export function finishAt(
  { prompt, maxTokens, eosTokenIds }: GenerateRequest,
  position: number,
  token: number,
): Finish | null {
  if (eosTokenIds.includes(token)) return 'stop';
  return position + 1 === prompt.length + maxTokens ? 'length' : null;
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
  if (message.finish !== null && expected.finish === null) {
    return {
      code: 'PROTOCOL_INVALID',
      what: `it finished with '${message.finish}' at position ${position}, which is no end`,
    };
  }
  return null;
}
