/**
 * The chat that a reload or Back would lose, kept for this tab only (sessionStorage): on a shared computer it goes with the
 * tab. Keys of the API are no part of it.
 */
import { z } from 'zod';
import { MAX_STORED_CHAT_CHARS } from '../../config/limits.ts';
import { answeredBySchema, servedSchema } from './chat-stream.ts';
import type { Chosen } from './chosen-model.ts';
import type { Turn } from './conversation.ts';

const STORE_KEY = 'shoal.chat';

const turnSchema = z.object({
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  reasoning: z.string().optional(),
  model: z.string().optional(),
  by: answeredBySchema.optional(),
  served: servedSchema.optional(),
  error: z.string().optional(),
  stopped: z.boolean().optional(),
  cut: z.enum(['context', 'limit']).optional(),
  tokens: z.number().optional(),
  used: z.number().optional(),
  leftOut: z.number().optional(),
});

const storedSchema = z.object({
  version: z.literal(1),
  chosen: z.object({
    model: z.string(),
    lenders: z.array(z.object({ id: z.string(), name: z.string() })),
  }),
  turns: z.array(turnSchema),
  draft: z.string(),
});

export interface StoredChat {
  readonly chosen: Chosen;
  readonly turns: readonly Turn[];
  readonly draft: string;
}

/** The newest turns that fit, from a question on. @returns null where there is nothing to keep */
export function writeChat({ chosen, turns, draft }: StoredChat): string | null {
  if (turns.length === 0 && draft === '' && chosen.model === '') return null;
  for (let first = 0; ; first++) {
    if (first < turns.length && turns[first]!.role !== 'user') continue;
    const text = JSON.stringify({ version: 1, chosen, turns: moved(turns, first), draft });
    if (text.length <= MAX_STORED_CHAT_CHARS) return text;
    if (first >= turns.length) return null;
  }
}

/** `leftOut` counts from the first turn that there is. */
const moved = (turns: readonly Turn[], first: number): Turn[] =>
  turns.slice(first).map((turn) => {
    if (first === 0 || turn.leftOut === undefined) return turn;
    return { ...turn, leftOut: Math.max(0, turn.leftOut - first) };
  });

/** @param isAnswering the last turn was still coming in: what there is of it stays, as if it had been stopped */
export function readChat(text: string | null): StoredChat | null {
  if (text === null) return null;
  try {
    const { chosen, turns, draft } = storedSchema.parse(JSON.parse(text));
    return { chosen, turns: turns as Turn[], draft };
  } catch {
    return null;
  }
}

/** A browser may refuse storage, or be full: the chat then lives as long as the page. */
export function storeChat(chat: StoredChat): void {
  try {
    const text = writeChat(chat);
    if (text === null) sessionStorage.removeItem(STORE_KEY);
    else sessionStorage.setItem(STORE_KEY, text);
  } catch {}
}

export function restoreChat(): StoredChat | null {
  try {
    return readChat(sessionStorage.getItem(STORE_KEY));
  } catch {
    return null;
  }
}
