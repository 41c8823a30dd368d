import { expect, it } from 'vitest';
import type { ChatEvent, ChatMessage } from '../../../src/page/chat/chat-stream.ts';
import { type AskModel, Conversation } from '../../../src/page/chat/conversation.ts';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

/** Answers with the given pieces; remembers what it was sent. */
function model(...pieces: string[]) {
  const sent: (readonly ChatMessage[])[] = [];
  const ask: AskModel = async function* (messages) {
    sent.push(messages);
    for (const text of pieces) yield { type: 'text', text };
  };
  return { ask, sent };
}

/** Says one word, then nothing until it is aborted. */
const stalls: AskModel = async function* (_, signal): AsyncGenerator<ChatEvent> {
  yield { type: 'text', text: 'Once' };
  signal.throwIfAborted();
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
};

const fails: AskModel = () => {
  throw new Error('no pipeline');
};

const firstWord = async (conversation: Conversation) => {
  while (conversation.turns.at(-1)?.content !== 'Once') await Promise.resolve();
};

it('builds the answer up, and sends the whole conversation with the next question', async () => {
  const seen: string[] = [];
  const conversation: Conversation = new Conversation(() => {
    seen.push(conversation.turns.at(-1)?.content ?? '');
  });
  const { ask, sent } = model('Tok', 'yo');
  await conversation.ask(' Capital of Japan? ', ask);
  await conversation.ask('Sure?', ask);
  expect(seen.slice(0, 3)).toEqual(['', 'Tok', 'Tokyo']);
  expect(sent[1]).toEqual([user('Capital of Japan?'), assistant('Tokyo'), user('Sure?')]);
  expect(conversation.answering).toBe(false);
});

it('keeps what there is of a stopped answer, and says so', async () => {
  const conversation = new Conversation(() => {});
  const answered = conversation.ask('A story.', stalls);
  await firstWord(conversation);
  conversation.stop();
  await answered;
  expect(conversation.turns).toEqual([user('A story.'), { ...assistant('Once'), stopped: true }]);
});

it('stays empty when it is cleared during an answer', async () => {
  const conversation = new Conversation(() => {});
  const answered = conversation.ask('A story.', stalls);
  await firstWord(conversation);
  conversation.clear();
  expect([conversation.turns, conversation.answering]).toEqual([[], false]);
  await answered;
  expect(conversation.turns).toEqual([]);
});

it('does not let the end of a cleared answer touch the next one', async () => {
  const conversation = new Conversation(() => {});
  const old = conversation.ask('A story.', stalls);
  await firstWord(conversation);
  conversation.clear();
  const next = conversation.ask('Another.', stalls);
  await old;
  await firstWord(conversation);
  expect(conversation.answering).toBe(true);
  expect(conversation.turns).toEqual([user('Another.'), assistant('Once')]);
  conversation.stop();
  await next;
});

it('leaves out questions that got no answer: turns alternate', async () => {
  const conversation = new Conversation(() => {});
  const { ask, sent } = model('Yes.');
  await conversation.ask('One?', fails);
  expect(conversation.turns[1]).toEqual({ ...assistant(''), error: 'no pipeline' });
  await conversation.ask('Two?', model().ask);
  await conversation.ask('Three?', ask);
  await conversation.ask('Four?', ask);
  expect(sent).toEqual([[user('Three?')], [user('Three?'), assistant('Yes.'), user('Four?')]]);
});

it('takes one question at a time, and no empty one', async () => {
  const conversation = new Conversation(() => {});
  await conversation.ask('  ', stalls);
  expect(conversation.turns).toEqual([]);
  const answered = conversation.ask('A story.', stalls);
  await conversation.ask('Now?', stalls);
  expect(conversation.turns).toHaveLength(2);
  conversation.stop();
  await answered;
});
