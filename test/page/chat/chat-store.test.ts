import { expect, it } from 'vitest';
import { MAX_STORED_CHAT_CHARS } from '../../../src/config/limits.ts';
import { readChat, type StoredChat, writeChat } from '../../../src/page/chat/chat-store.ts';
import type { Turn } from '../../../src/page/chat/conversation.ts';

const chosen = { model: 'm', lenders: [{ id: 'provider-1-a', name: 'Ann' }] };
const turn = (role: Turn['role'], content: string, more: Partial<Turn> = {}): Turn => ({
  role,
  content,
  ...more,
});
const chat = (turns: readonly Turn[], draft = ''): StoredChat => ({ chosen, turns, draft });

it('brings back what it was given', () => {
  const stored = chat(
    [
      turn('user', 'One?', { tokens: 3 }),
      turn('assistant', '1', {
        reasoning: 'hm',
        model: 'm',
        by: { name: 'Ann (ollama)', lender: { id: 'provider-1-a', name: 'Ann' } },
        served: {
          stages: [{ peer: 'p', name: 'tab-1', layers: [0, 8] }],
          restarts: 1,
          tokens_per_second: null,
        },
        cut: 'context',
        used: 512,
        leftOut: 2,
      }),
    ],
    'half a quest',
  );
  expect(readChat(writeChat(stored))).toEqual(stored);
});

it('keeps the newest turns, from a question on, where all are too many', () => {
  const long = 'x'.repeat(MAX_STORED_CHAT_CHARS / 4);
  const turns = [0, 1, 2].flatMap((i) => [
    turn('user', `${i}?`),
    turn('assistant', long, i === 2 ? { leftOut: 4 } : {}),
  ]);
  // Three long answers fit, and a fourth does not.
  const more = [...turns, turn('user', '3?'), turn('assistant', long, { leftOut: 6 })];
  const text = writeChat(chat(more))!;
  expect(text.length).toBeLessThanOrEqual(MAX_STORED_CHAT_CHARS);
  const kept = readChat(text)!.turns;
  expect(kept.map(({ content }) => content.slice(0, 2))).toEqual(['1?', 'xx', '2?', 'xx', '3?', 'xx']);
  expect(kept.map(({ leftOut }) => leftOut)).toEqual([undefined, undefined, undefined, 2, undefined, 4]);
});

it('keeps nothing of a chat that is empty, or of a single turn that is too long', () => {
  expect(writeChat({ chosen: { model: '', lenders: [] }, turns: [], draft: '' })).toBeNull();
  const huge = readChat(writeChat(chat([turn('user', 'x'.repeat(MAX_STORED_CHAT_CHARS))])));
  expect(huge?.turns).toEqual([]);
  expect(writeChat(chat([], 'x'.repeat(MAX_STORED_CHAT_CHARS)))).toBeNull();
});

it('takes nothing for a chat that is none', () => {
  for (const text of [null, '', '{', '{"version":1}', '{"version":2,"turns":[]}'])
    expect(readChat(text)).toBeNull();
});
