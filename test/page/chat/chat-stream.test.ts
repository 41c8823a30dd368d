import { afterEach, expect, it, vi } from 'vitest';
import { type ChatEvent, streamChat } from '../../../src/page/chat/chat-stream.ts';

const answerWith = (body: BodyInit, init?: ResponseInit) =>
  vi.stubGlobal('fetch', async () => new Response(body, init));

afterEach(() => vi.unstubAllGlobals());

async function collect(apiKey = '', onKeyNeeded = () => {}): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  const { signal } = new AbortController();
  for await (const event of streamChat('minnow', [], signal, { apiKey, onKeyNeeded })) events.push(event);
  return events;
}

const data = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

it('gives text, who served it and the finish reason, wherever the bytes are cut', async () => {
  const text =
    ': keep-alive\n\n' +
    data({ choices: [{ delta: { role: 'assistant', content: '' } }] }) +
    data({ choices: [{ delta: { content: 'Tōkyō' } }] }) +
    data({
      choices: [{ delta: {}, finish_reason: 'stop' }],
      shoal: {
        stages: [{ peer: 'p-1', name: 'tab-1', layers: [0, 8] }],
        restarts: 1,
        tokens_per_second: null,
      },
    }) +
    data('[DONE]');
  const bytes = new TextEncoder().encode(text);
  const oneByteAtATime = new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i++) controller.enqueue(bytes.slice(i, i + 1));
      controller.close();
    },
  });
  answerWith(oneByteAtATime);
  expect(await collect()).toEqual([
    { type: 'text', text: 'Tōkyō' },
    {
      type: 'served',
      served: {
        stages: [{ peer: 'p-1', name: 'tab-1', layers: [0, 8] }],
        restarts: 1,
        tokens_per_second: null,
      },
    },
    { type: 'finish', reason: 'stop' },
  ]);
});

it('throws the server’s sentence, before a stream and within one', async () => {
  answerWith(JSON.stringify({ error: { message: 'no worker has joined' } }), { status: 503 });
  await expect(collect()).rejects.toThrow('no worker has joined');
  answerWith('<html>bad gateway</html>', { status: 502 });
  await expect(collect()).rejects.toThrow('The server answered 502.');
  answerWith(
    data({ choices: [{ delta: { content: 'To' } }] }) + data({ error: { message: 'pipeline lost' } }),
  );
  await expect(collect()).rejects.toThrow('pipeline lost');
});

it('sends a key where it has one, and tells that one is needed', async () => {
  const sent: (string | null)[] = [];
  vi.stubGlobal('fetch', async (_url: string, { headers }: RequestInit) => {
    const key = new Headers(headers).get('authorization');
    sent.push(key);
    return key === 'Bearer good'
      ? new Response(data('[DONE]'))
      : Response.json({ error: { message: 'a key is needed' } }, { status: 401 });
  });
  const onKeyNeeded = vi.fn();
  await expect(collect('', onKeyNeeded)).rejects.toThrow('a key is needed');
  expect(onKeyNeeded).toHaveBeenCalledOnce();
  expect(await collect('good', onKeyNeeded)).toEqual([]);
  expect(sent).toEqual([null, 'Bearer good']);
  expect(onKeyNeeded).toHaveBeenCalledOnce();
});

it.each(['', null, false, {}, []])('takes an error that is none for none: %j', async (error) => {
  answerWith(
    data({ choices: [{ delta: { content: 'Hi' }, finish_reason: '' }], error }) +
      data({ choices: [{ delta: null, finish_reason: 'stop' }], error }) +
      data('[DONE]'),
  );
  expect(await collect()).toEqual([
    { type: 'text', text: 'Hi' },
    { type: 'finish', reason: 'stop' },
  ]);
});
