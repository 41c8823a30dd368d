/** What of a conversation fits a model's context, and what is left out. */

export interface Weighed {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
  /** As a server counted it, with what its template adds; absent: it is estimated. */
  readonly tokens?: number;
}

/** Tokens a character before any count has come: more than languages have with common tokenizers (English 0.25). */
const UNKNOWN_DENSITY = 0.5;
/** What a chat template adds to a message. */
const TURN_TOKENS = 5;
/** An estimate is to err on the side that fits. */
const MARGIN = 1.1;

/** Tokens that are left for the answer: a prompt that just fits would be cut off at its first word. */
export const answerRoom = (contextLength: number) => Math.min(Math.floor(contextLength / 4), 1_024);

/** Tokens of each, counted or estimated by those that were counted. */
export function weights(messages: readonly Weighed[]): number[] {
  let chars = 0;
  let counted = 0;
  for (const { content, tokens } of messages) {
    if (tokens === undefined) continue;
    chars += content.length;
    counted += tokens;
  }
  const density = chars === 0 ? UNKNOWN_DENSITY : counted / chars;
  return messages.map(
    ({ content, tokens }) => tokens ?? Math.ceil(content.length * density * MARGIN) + TURN_TOKENS,
  );
}

/**
 * How many of the oldest messages are left out so that the rest fits with room for an answer. A system prompt and the
 * newest message never are, and a question goes with its answer: many templates want turns that alternate.
 *
 * @param messages ends with a question
 * @param contextLength null: unknown, everything is sent
 * @returns a number of messages behind the system prompt
 */
export function messagesToDrop(messages: readonly Weighed[], contextLength: number | null): number {
  if (contextLength === null) return 0;
  const firstTurn = messages.findIndex(({ role }) => role !== 'system');
  const tokens = weights(messages);
  let sum = tokens.reduce((a, b) => a + b, 0);
  const bound = contextLength - answerRoom(contextLength);
  let dropped = 0;
  while (sum > bound && firstTurn + dropped < messages.length - 1) {
    const next = afterNextPair(messages, firstTurn, dropped);
    for (; dropped < next; dropped++) sum -= tokens[firstTurn + dropped]!;
  }
  return dropped;
}

/** Of a conversation that a server refused though it was thought to fit: one question and its answer more. */
export const dropMore = (messages: readonly Weighed[], dropped: number): number =>
  afterNextPair(
    messages,
    messages.findIndex(({ role }) => role !== 'system'),
    dropped,
  );

/** The messages that are sent. */
export function withoutOldest<T extends Weighed>(messages: readonly T[], dropped: number): T[] {
  const firstTurn = messages.findIndex(({ role }) => role !== 'system');
  return messages.filter((_, i) => i < firstTurn || i >= firstTurn + dropped);
}

function afterNextPair(messages: readonly Weighed[], firstTurn: number, dropped: number): number {
  const most = messages.length - 1 - firstTurn;
  let next = Math.min(dropped + 1, most);
  while (next < most && messages[firstTurn + next]!.role !== 'user') next++;
  return next;
}

export interface Fullness {
  readonly used: number;
  readonly of: number;
  readonly state: 'roomy' | 'close' | 'full';
}

/** Of the last answer and what it was asked with. */
export function fullness(used: number, contextLength: number): Fullness {
  const full = used >= contextLength;
  const close = used > contextLength - answerRoom(contextLength);
  return {
    used: Math.min(used, contextLength),
    of: contextLength,
    state: full ? 'full' : close ? 'close' : 'roomy',
  };
}
