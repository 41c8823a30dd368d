import { describe, expect, it } from 'vitest';
import { ChatError, type ChatEvent, type ChatMessage } from '../../../src/page/chat/chat-stream.ts';
import { type AskModel, Conversation, historyOf } from '../../../src/page/chat/conversation.ts';

const user = (content: string) => ({ role: 'user' as const, content });
const assistant = (content: string) => ({ role: 'assistant' as const, content });
const answered = (content: string) => ({ ...assistant(content), model: 'm' });
const asking = (text: string, contextLength: number | null = null) => ({ text, model: 'm', contextLength });

/** Answers with the given pieces; remembers what it was sent. */
function model(...pieces: (string | ChatEvent)[]) {
  const sent: (readonly ChatMessage[])[] = [];
  const ask: AskModel = async function* (messages) {
    sent.push(messages);
    for (const piece of pieces) yield typeof piece === 'string' ? { type: 'text', text: piece } : piece;
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
  await conversation.ask(asking(' Capital of Japan? '), ask);
  await conversation.ask(asking('Sure?'), ask);
  expect(seen.slice(0, 3)).toEqual(['', 'Tok', 'Tokyo']);
  expect(sent[1]).toEqual([user('Capital of Japan?'), assistant('Tokyo'), user('Sure?')]);
  expect(conversation.answering).toBe(false);
});

it('keeps what there is of a stopped answer, and says so', async () => {
  const conversation = new Conversation(() => {});
  const ended = conversation.ask(asking('A story.'), stalls);
  await firstWord(conversation);
  conversation.stop();
  expect(await ended).toBeNull();
  expect(conversation.turns).toEqual([user('A story.'), { ...answered('Once'), stopped: true }]);
});

it('stays empty when it is cleared during an answer', async () => {
  const conversation = new Conversation(() => {});
  const ended = conversation.ask(asking('A story.'), stalls);
  await firstWord(conversation);
  conversation.clear();
  expect([conversation.turns, conversation.answering]).toEqual([[], false]);
  await ended;
  expect(conversation.turns).toEqual([]);
});

it('does not let the end of a cleared answer touch the next one', async () => {
  const conversation = new Conversation(() => {});
  const old = conversation.ask(asking('A story.'), stalls);
  await firstWord(conversation);
  conversation.clear();
  const next = conversation.ask(asking('Another.'), stalls);
  await old;
  await firstWord(conversation);
  expect(conversation.answering).toBe(true);
  expect(conversation.turns).toEqual([user('Another.'), answered('Once')]);
  conversation.stop();
  await next;
});

it('takes one question at a time, and no empty one', async () => {
  const conversation = new Conversation(() => {});
  await conversation.ask(asking('  '), stalls);
  expect(conversation.turns).toEqual([]);
  const ended = conversation.ask(asking('A story.'), stalls);
  await conversation.ask(asking('Now?'), stalls);
  expect(conversation.turns).toHaveLength(2);
  conversation.stop();
  await ended;
});

it('goes on with the turns that it is given', async () => {
  const { ask, sent } = model('Yes.');
  await new Conversation(() => {}, [user('One?'), answered('1')]).ask(asking('Two?'), ask);
  expect(sent).toEqual([[user('One?'), assistant('1'), user('Two?')]]);
});

describe('a question that is refused', () => {
  it('is given back with the reason, and is no turn', async () => {
    const conversation = new Conversation(() => {});
    await conversation.ask(asking('One?'), model('1').ask);
    const before = conversation.turns;
    expect(await conversation.ask(asking(' Two? '), fails)).toEqual({
      text: 'Two?',
      message: 'no pipeline',
      kind: 'other',
    });
    expect(conversation.turns).toBe(before);
    expect(conversation.answering).toBe(false);
  });

  it('stays with what there is of an answer that broke off', async () => {
    const conversation = new Conversation(() => {});
    const breaks: AskModel = async function* () {
      yield { type: 'text', text: 'To' };
      throw new Error('pipeline lost');
    };
    expect(await conversation.ask(asking('One?'), breaks)).toBeNull();
    expect(conversation.turns).toEqual([user('One?'), { ...answered('To'), error: 'pipeline lost' }]);
  });
});

it('an answer that breaks off because the page goes is a stopped one', async () => {
  const conversation = new Conversation(() => {});
  const breaks: AskModel = async function* () {
    yield { type: 'text', text: 'To' };
    conversation.isLeaving = true;
    throw new Error('network error');
  };
  await conversation.ask(asking('One?'), breaks);
  expect(conversation.turns[1]).toEqual({ ...answered('To'), stopped: true });
});

describe('an answer that ends for its length', () => {
  const length: ChatEvent = { type: 'finish', reason: 'length' };
  const ask = async (contextLength: number | null, ...pieces: (string | ChatEvent)[]) => {
    const conversation = new Conversation(() => {});
    await conversation.ask(asking('A story.', contextLength), model('Once', ...pieces).ask);
    return conversation.turns[1]?.cut;
  };

  it('says whether the context is full or the server allows no more', async () => {
    const usage = (completionTokens: number): ChatEvent => ({
      type: 'usage',
      promptTokens: 12,
      completionTokens,
    });
    expect(await ask(512, length, usage(500))).toBe('context');
    expect(await ask(512, length, usage(100))).toBe('limit');
    expect(await ask(null, length)).toBe('limit');
    expect(await ask(512, { type: 'finish', reason: 'stop' }, usage(500))).toBeUndefined();
  });
});

describe('a conversation that no longer fits', () => {
  const usage = (promptTokens: number, completionTokens: number): ChatEvent => ({
    type: 'usage',
    promptTokens,
    completionTokens,
  });

  it('is sent without its first turns, by what the server counted', async () => {
    const conversation = new Conversation(() => {});
    const [first, second, third] = ['a', 'b', 'c'].map((letter) => letter.repeat(40)) as [
      string,
      string,
      string,
    ];
    await conversation.ask(asking(first, 200), model('1'.repeat(120), usage(20, 60)).ask);
    expect(conversation.turns.map(({ tokens }) => tokens)).toEqual([20, 60]);
    const long = '2'.repeat(100);
    await conversation.ask(asking(second, 200), model(long, usage(110, 50)).ask);
    expect(conversation.turns.map(({ tokens }) => tokens)).toEqual([20, 60, 30, 50]);
    const { ask, sent } = model('3');
    await conversation.ask(asking(third, 200), ask);
    expect(sent).toEqual([[user(second), assistant(long), user(third)]]);
    expect(conversation.turns.at(-1)).toMatchObject({ content: '3', leftOut: 2 });
  });

  it('is asked again without more of them where the server refuses it all the same', async () => {
    const turns = [user('1?'), answered('1'), user('2?'), answered('2')];
    const sent: number[] = [];
    const short: AskModel = async function* (messages) {
      sent.push(messages.length);
      if (messages.length > 1) throw new ChatError('too long', 'context');
      yield { type: 'text', text: '3' };
    };
    const conversation = new Conversation(() => {}, turns);
    await conversation.ask(asking('3?'), short);
    expect(sent).toEqual([5, 3, 1]);
    expect(conversation.turns.at(-1)).toMatchObject({ content: '3', leftOut: 4 });
  });

  it('is refused where the question alone does not fit', async () => {
    const turns = [user('1?'), answered('1')];
    const conversation = new Conversation(() => {}, turns);
    const never: AskModel = () => {
      throw new ChatError('too long', 'context');
    };
    expect(await conversation.ask(asking('2?'), never)).toMatchObject({ text: '2?', kind: 'context' });
    expect(conversation.turns).toBe(turns);
  });
});

describe('the history', () => {
  it('leaves out questions that got no answer: turns alternate', () => {
    const sent = historyOf([user('One?'), answered(''), user('Two?')]);
    expect(sent.map(({ content }) => content)).toEqual(['Two?']);
  });

  it('leaves out what a model thought, and its tokens with it', () => {
    const thought = { ...answered('<think>Hm.</think>Yes.'), reasoning: 'well', tokens: 40 };
    expect(historyOf([user('One?'), thought, user('Two?')])).toEqual([
      { ...user('One?'), turn: 0 },
      { ...assistant('Yes.'), turn: 1 },
      { ...user('Two?'), turn: 2 },
    ]);
    const onlyThought = answered('<think>Hm');
    expect(historyOf([user('One?'), onlyThought, user('Two?')]).map(({ content }) => content)).toEqual([
      'Two?',
    ]);
  });
});
