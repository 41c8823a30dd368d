import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ChatEvent, type ChatRequest, streamChat } from '../../../src/page/chat/chat-stream.ts';

const answerWith = (body: BodyInit, init?: ResponseInit) =>
  vi.stubGlobal('fetch', async () => new Response(body, init));

afterEach(() => vi.unstubAllGlobals());

async function collect(more: Partial<ChatRequest> = {}): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  const request = { model: 'minnow', messages: [], lenders: [], wantsUsage: false, apiKey: '', ...more };
  for await (const event of streamChat(request, new AbortController().signal)) events.push(event);
  return events;
}

const data = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const delta = (said: object, finish: string | null = null) => ({
  choices: [{ delta: said, finish_reason: finish }],
});

it.each(['{"choices":', '{"choices":"none"}'])('says in words that it cannot read %s', async (text) => {
  answerWith(data(text));
  await expect(collect()).rejects.toThrow('a part of the answer that this page cannot read');
});

it('gives text, who served it, the finish reason and the usage, wherever the bytes are cut', async () => {
  const served = {
    stages: [{ peer: 'p-1', name: 'tab-1', layers: [0, 8] }],
    restarts: 1,
    tokens_per_second: null,
  };
  const text =
    ': keep-alive\n\n' +
    data({ ...delta({ role: 'assistant', content: '' }), usage: null }) +
    data(delta({ content: 'Tōkyō' })) +
    data({ ...delta({}, 'stop'), shoal: served }) +
    data({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } }) +
    data('[DONE]');
  const bytes = new TextEncoder().encode(text);
  const oneByteAtATime = new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i++) controller.enqueue(bytes.slice(i, i + 1));
      controller.close();
    },
  });
  answerWith(oneByteAtATime, {
    headers: { 'x-shoal-served-by': 'name=b%C3%B6x+%28ollama%29&lender=p-1&by=b%C3%B6x' },
  });
  expect(await collect()).toEqual([
    { type: 'by', by: { name: 'böx (ollama)', lender: { id: 'p-1', name: 'böx' } } },
    { type: 'text', text: 'Tōkyō' },
    { type: 'served', served },
    { type: 'finish', reason: 'stop' },
    { type: 'usage', promptTokens: 7, completionTokens: 3 },
  ]);
});

it.each(['reasoning_content', 'reasoning'])('tells what the model thinks apart: %s', async (name) => {
  answerWith(
    data(delta({ content: null, [name]: 'Hm.' })) + data(delta({ content: 'Yes' }, 'stop')) + data('[DONE]'),
  );
  expect(await collect()).toEqual([
    { type: 'reasoning', text: 'Hm.' },
    { type: 'text', text: 'Yes' },
    { type: 'finish', reason: 'stop' },
  ]);
});

describe('throws', () => {
  it('the server’s sentence, before a stream and within one', async () => {
    answerWith(JSON.stringify({ error: { message: 'no worker has joined' } }), { status: 503 });
    await expect(collect()).rejects.toThrow('no worker has joined');
    answerWith('<html>bad gateway</html>', { status: 502 });
    await expect(collect()).rejects.toThrow('The server answered 502.');
    answerWith(data(delta({ content: 'To' })) + data({ error: { message: 'pipeline lost' } }));
    await expect(collect()).rejects.toThrow('pipeline lost');
  });

  it('that the connection was lost, in no browser’s words', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    await expect(collect()).rejects.toThrow(
      'The connection to the server was lost. Ask again once it is back.',
    );
  });

  it('where a stream ends before the answer does', async () => {
    answerWith(data(delta({ content: 'To' })));
    await expect(collect()).rejects.toThrow('The answer broke off');
  });

  it.each([
    [400, { message: 'messages is 530 tokens long', code: 'context_length_exceeded' }, 'context'],
    [400, { message: 'request exceeds', type: 'exceed_context_size_error', code: 400 }, 'context'],
    [
      400,
      { message: "This model's maximum context length is 4096 tokens. However, you requested", code: null },
      'context',
    ],
    [404, { message: 'no model "m"', code: 'model_not_found' }, 'gone'],
    [401, { message: 'a key is needed', code: 'invalid_api_key' }, 'key'],
    [503, { message: 'no worker has joined', code: 'no_pipeline' }, 'other'],
  ])('with its kind: %i %o', async (status, error, kind) => {
    answerWith(JSON.stringify({ error }), { status });
    await expect(collect()).rejects.toMatchObject({ name: 'ChatError', kind, message: error.message });
  });
});

it('sends a key where it has one, the lenders that may read it, and asks for usage where that is known', async () => {
  const sent: { headers: Headers; body: Record<string, unknown> }[] = [];
  vi.stubGlobal('fetch', async (_url: string, { headers, body }: RequestInit) => {
    sent.push({ headers: new Headers(headers), body: JSON.parse(body as string) });
    return new Response(data('[DONE]'));
  });
  expect(await collect()).toEqual([]);
  await collect({ apiKey: 'good', lenders: ['p-1', 'p-2'], wantsUsage: true });
  expect(sent.map(({ headers }) => [headers.get('authorization'), headers.get('x-shoal-lenders')])).toEqual([
    [null, ''],
    ['Bearer good', 'p-1,p-2'],
  ]);
  expect(sent.map(({ body }) => body.stream_options)).toEqual([undefined, { include_usage: true }]);
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
