import { Hono } from 'hono';
import { Ollama } from 'ollama';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Backend, RequestContext } from '../../../src/backend/backend.ts';
import { SSE_DONE, SSE_HEADERS, sseData } from '../../../src/backend/openai/sse.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { MAX_CONTEXT_POSITIONS, MAX_OLLAMA_CONTEXT } from '../../../src/config/limits.ts';
import type { Answering } from '../../../src/server/api/answering.ts';
import { ollamaErrorResponse, ollamaRoutes } from '../../../src/server/api/ollama/routes.ts';

/** The official `ollama` client against the routes, with a backend whose OpenAI answers are written down here. */

let asked: { endpoint: string; body: Record<string, unknown> }[];
let reply: (body: Record<string, unknown>, context: RequestContext) => Response | Promise<Response>;
let cancelled: unknown[];

const backend: { -readonly [K in keyof Backend]: Backend[K] } = {
  provider: 'custom',
  models: async () => [{ id: 'minnow', created: 7, ownedBy: 'shoal' }],
  readiness: async () => ({ ready: true, detail: '' }),
  chatCompletions: async (body, context) => {
    asked.push({ endpoint: 'chat', body: body as Record<string, unknown> });
    return reply(body as Record<string, unknown>, context);
  },
  completions: async (body, context) => {
    asked.push({ endpoint: 'completions', body: body as Record<string, unknown> });
    return reply(body as Record<string, unknown>, context);
  },
  close: async () => {},
};

const answering: Answering = async (c, call) => call(await c.req.json(), { signal: c.req.raw.signal });
const app = new Hono();
app.route('/api', ollamaRoutes(backend, answering));
app.onError((thrown) => {
  const error = ShoalError.from(thrown);
  return ollamaErrorResponse(new Response(null, { status: error.httpStatus }), error.message);
});
const client = new Ollama({
  host: 'http://shoal.test',
  fetch: (input: RequestInfo | URL, init?: RequestInit) =>
    Promise.resolve(app.fetch(new Request(input, init))),
});

const chunk = (delta: object, finish_reason: string | null = null, more: object = {}) =>
  sseData({ choices: [{ index: 0, delta, finish_reason, ...more }] });
const USAGE = sseData({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 3 } });

function streamOf(...events: Uint8Array[]): Response {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const event = events[at++];
      if (event) controller.enqueue(event);
      else controller.close();
    },
    cancel: (reason) => void cancelled.push(reason),
  });
  return new Response(body, { headers: SSE_HEADERS });
}

beforeEach(() => {
  asked = [];
  cancelled = [];
  backend.provider = 'custom';
  reply = () =>
    streamOf(chunk({ content: 'Hel' }), chunk({ content: 'lo' }), chunk({}, 'stop'), USAGE, SSE_DONE);
});

const messages = [{ role: 'user', content: 'Hi' }];

describe('/api/chat', () => {
  it('streams lines with text, and ends with the reason, counts and durations', async () => {
    const lines = [];
    for await (const line of await client.chat({ model: 'minnow', messages, stream: true })) lines.push(line);
    expect(lines.map((line) => line.message.content)).toEqual(['Hel', 'lo', '']);
    expect(lines.map((line) => line.done)).toEqual([false, false, true]);
    const last = lines.at(-1)!;
    expect(last).toMatchObject({ model: 'minnow', done_reason: 'stop', prompt_eval_count: 5, eval_count: 3 });
    expect(last.total_duration).toBeGreaterThanOrEqual(last.prompt_eval_duration + last.eval_duration - 1);
    expect(asked[0]!.body).toMatchObject({ stream: true, stream_options: { include_usage: true }, messages });
  });

  it('answers whole when told so', async () => {
    reply = () =>
      Response.json({
        choices: [{ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'length' }],
        usage: { prompt_tokens: 5, completion_tokens: 3 },
      });
    const answer = await client.chat({ model: 'minnow', messages, stream: false });
    expect(answer).toMatchObject({
      message: { role: 'assistant', content: 'Hello' },
      done: true,
      done_reason: 'length',
      eval_count: 3,
    });
    expect(asked[0]!.body).not.toHaveProperty('stream_options');
  });

  it('translates options, format, thinking and log probabilities', async () => {
    for await (const _ of await client.chat({
      model: 'minnow',
      messages,
      stream: true,
      format: 'json',
      think: 'low',
      logprobs: true,
      top_logprobs: 2,
      keep_alive: '5m',
      options: {
        temperature: 0.5,
        num_predict: 7,
        repeat_penalty: 1.1,
        seed: 3,
        stop: ['.'],
        num_ctx: 4096,
        top_k: 4,
      },
    }));
    expect(asked[0]!.body).toMatchObject({
      temperature: 0.5,
      max_tokens: 7,
      repetition_penalty: 1.1,
      seed: 3,
      stop: ['.'],
      top_k: 4,
      response_format: { type: 'json_object' },
      reasoning_effort: 'low',
      logprobs: true,
      top_logprobs: 2,
    });
    expect(Object.keys(asked[0]!.body)).not.toContain('num_ctx');
  });

  it('gives thinking, log probabilities and tool calls in Ollama’s form, arguments as an object', async () => {
    const logprob = {
      token: 'A',
      logprob: -0.5,
      bytes: [65],
      top_logprobs: [{ token: 'B', logprob: -1, bytes: [66] }],
    };
    reply = () =>
      streamOf(
        chunk({ reasoning: 'Hm.' }),
        chunk({ content: 'A' }, null, { logprobs: { content: [logprob] } }),
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'add', arguments: '{"a":' } }] }),
        chunk({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
        chunk({}, 'tool_calls'),
        SSE_DONE,
      );
    const lines = [];
    for await (const line of await client.chat({ model: 'minnow', messages, stream: true })) lines.push(line);
    expect(lines[0]!.message.thinking).toBe('Hm.');
    expect(lines[1]).toMatchObject({ logprobs: [logprob] });
    expect(lines.at(-1)!.message.tool_calls).toEqual([
      { id: 'x', function: { index: 0, name: 'add', arguments: { a: 1 } } },
    ]);
  });

  it('says so when a tool is called with half an object, whole and in a stream', async () => {
    const cut = [{ index: 0, id: 'x', function: { name: 'add', arguments: '{"a":' } }];
    reply = () => Response.json({ choices: [{ message: { tool_calls: cut }, finish_reason: 'length' }] });
    await expect(client.chat({ model: 'minnow', messages })).rejects.toMatchObject({
      status_code: 502,
      message: expect.stringContaining('add with arguments that are not JSON'),
    });
    reply = () => streamOf(chunk({ tool_calls: cut }), chunk({}, 'length'), SSE_DONE);
    const read = async () => {
      for await (const _ of await client.chat({ model: 'minnow', messages, stream: true }));
    };
    await expect(read()).rejects.toThrow(/add with arguments that are not JSON/);
  });

  it('tells a model not to think in the way that its engine reads', async () => {
    reply = () => Response.json({ choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] });
    for (const provider of ['custom', 'vllm', 'ollama'] as const) {
      backend.provider = provider;
      await client.chat({ model: 'minnow', messages, think: false });
    }
    await client.chat({ model: 'minnow', messages });
    expect(asked.map(({ body }) => body.reasoning_effort)).toEqual(['none', undefined, 'none', undefined]);
    expect(asked[1]!.body.chat_template_kwargs).toMatchObject({ enable_thinking: false });
  });

  it('hands an Ollama what only an Ollama can do', async () => {
    reply = () => Response.json({ choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] });
    backend.provider = 'ollama';
    const options = { num_ctx: 16_384, repeat_last_n: 32, typical_p: 0.9, num_gpu: 1, top_k: 4 };
    await client.chat({ model: 'minnow', messages, options, keep_alive: '1h' });
    expect(asked[0]!.body).toMatchObject({
      options: { num_ctx: 16_384, repeat_last_n: 32, typical_p: 0.9 },
      top_k: 4,
      keep_alive: '1h',
    });
    expect(asked[0]!.body.options).not.toHaveProperty('num_gpu');
    backend.provider = 'fxn';
    await client.chat({ model: 'minnow', messages, options: { num_ctx: 16_384 }, keep_alive: '1h' });
    expect(asked[1]!.body).not.toHaveProperty('options');
    expect(asked[1]!.body).not.toHaveProperty('keep_alive');
    await expect(
      client.chat({ model: 'minnow', messages, options: { repeat_last_n: 3, repeat_penalty: 1.1 } }),
    ).rejects.toMatchObject({ status_code: 400 });
  });

  it('knows a model under its tag too, as Ollama’s clients write it', async () => {
    reply = () => Response.json({ choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] });
    const answer = await client.chat({ model: 'minnow:latest', messages });
    expect(asked[0]!.body.model).toBe('minnow');
    expect(answer.model).toBe('minnow:latest');
    expect((await client.show({ model: 'minnow:latest' })).capabilities).toEqual(['completion']);
  });

  it('sends images and tool turns on as OpenAI has them', async () => {
    const call = { function: { name: 'add', arguments: { a: 1 } } };
    for await (const _ of await client.chat({
      model: 'minnow',
      stream: true,
      messages: [
        { role: 'user', content: 'see', images: ['iVBORw0KGgoAAA'] },
        { role: 'assistant', content: '', tool_calls: [call] },
        { role: 'tool', content: '2', tool_name: 'add' },
      ],
    }));
    const [user, assistant, tool] = asked[0]!.body.messages as [
      { content: object[] },
      { tool_calls: [{ id: string; function: object }] },
      { tool_call_id: string },
    ];
    expect(user.content[1]).toEqual({
      type: 'image_url',
      image_url: { url: 'data:image/png;base64,iVBORw0KGgoAAA' },
    });
    expect(assistant.tool_calls[0].function).toEqual({ name: 'add', arguments: '{"a":1}' });
    expect(tool.tool_call_id).toBe(assistant.tool_calls[0].id);
  });

  it('ties answers of tools to their calls by name, where they come in another order', async () => {
    const call = (name: string) => ({ function: { name, arguments: {} } });
    for await (const _ of await client.chat({
      model: 'minnow',
      stream: true,
      messages: [
        { role: 'user', content: 'both' },
        { role: 'assistant', content: null as never, tool_calls: [call('rain'), call('wind')] },
        { role: 'tool', content: '5 m/s', tool_name: 'wind' },
        { role: 'tool', content: '2 mm', tool_name: 'rain' },
      ],
    }));
    const [, assistant, first, second] = asked[0]!.body.messages as [
      unknown,
      { content: string; tool_calls: [{ id: string }, { id: string }] },
      { tool_call_id: string },
      { tool_call_id: string },
    ];
    expect(assistant.content).toBe('');
    expect(first.tool_call_id).toBe(assistant.tool_calls[1].id);
    expect(second.tool_call_id).toBe(assistant.tool_calls[0].id);
  });

  it.each(['', null, false, {}, []])('takes an error that is none for none: %j', async (error) => {
    reply = () =>
      streamOf(
        sseData({ choices: [{ index: 0, delta: { content: 'Hel' }, finish_reason: null }], error }),
        chunk({}, 'length'),
        sseData({ choices: [{ index: 0, delta: {}, finish_reason: '' }], error }),
        SSE_DONE,
      );
    const lines = [];
    for await (const line of await client.chat({ model: 'minnow', messages, stream: true })) lines.push(line);
    expect(lines.at(-1)).toMatchObject({ done: true, done_reason: 'length' });
  });

  it('says in the stream when it broke off, so that half an answer is not taken for a whole one', async () => {
    reply = () => streamOf(chunk({ content: 'Hel' }));
    const read = async () => {
      for await (const _ of await client.chat({ model: 'minnow', messages, stream: true }));
    };
    await expect(read()).rejects.toThrow(/broke off/);
    reply = () => streamOf(chunk({ content: 'Hel' }), sseData({ error: { message: 'a stage was lost' } }));
    await expect(read()).rejects.toThrow(/a stage was lost/);
  });

  it('reads the backend’s stream to its end, so that its connection is kept', async () => {
    const lines = [];
    for await (const line of await client.chat({ model: 'minnow', messages, stream: true })) lines.push(line);
    expect(lines.filter(({ done }) => done)).toHaveLength(1);
    expect(cancelled).toEqual([]);
  });

  it('ends the backend’s stream when the client hangs up', async () => {
    reply = () => streamOf(...Array.from({ length: 100 }, () => chunk({ content: 'x' })));
    const stream = await client.chat({ model: 'minnow', messages, stream: true });
    for await (const _ of stream) break;
    const response = await app.fetch(
      new Request('http://shoal.test/api/chat', {
        method: 'POST',
        body: JSON.stringify({ model: 'minnow', messages }),
      }),
    );
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel('gone');
    await expect.poll(() => cancelled).toContain('gone');
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
  });

  it('tells an error with its status and the parameter’s name', async () => {
    reply = () => {
      throw new ShoalError('MODEL_NOT_FOUND', 'no model "x" here');
    };
    await expect(client.chat({ model: 'x', messages })).rejects.toMatchObject({
      status_code: 404,
      message: 'no model "x" here',
    });
    reply = () =>
      Response.json({ error: { message: 'busy' } }, { status: 429, headers: { 'retry-after': '3' } });
    await expect(client.chat({ model: 'x', messages })).rejects.toMatchObject({
      status_code: 429,
      message: 'busy',
    });
    await expect(
      client.chat({ model: 'm', messages, options: { mirostat: 2 } as object }),
    ).rejects.toMatchObject({
      status_code: 400,
      message: expect.stringContaining('options.mirostat'),
    });
    await expect(client.chat({ model: 'm', messages: 'hi' as never })).rejects.toMatchObject({
      status_code: 400,
    });
  });

  it('counts a chat without messages as a wish to have the model loaded', async () => {
    const answer = await client.chat({ model: 'minnow', stream: false });
    expect(answer).toMatchObject({ done: true, done_reason: 'load', message: { content: '' } });
    expect(await client.chat({ model: 'minnow', stream: false, keep_alive: 0 })).toMatchObject({
      done_reason: 'unload',
    });
    await expect(client.chat({ model: 'nope', stream: false })).rejects.toMatchObject({
      status_code: 404,
      message: "model 'nope' not found",
    });
    expect(asked).toEqual([]);
  });
});

it('each model has a digest, of which Ollama’s own command cuts twelve characters for its columns', async () => {
  const lists = [(await client.list()).models, (await client.ps()).models];
  for (const [model] of lists) expect(model!.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(lists[0]![0]!.digest).toBe(lists[1]![0]!.digest);
});

describe('/api/generate', () => {
  it('is a chat of one turn, with a system message', async () => {
    const answer = await client.generate({
      model: 'minnow',
      prompt: 'Hi',
      system: 'Be brief.',
      stream: true,
    });
    let text = '';
    for await (const line of answer) text += line.response;
    expect(text).toBe('Hello');
    expect(asked[0]).toMatchObject({
      endpoint: 'chat',
      body: {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
      },
    });
  });

  it('is a completion with raw, with log probabilities as pairs', async () => {
    reply = () =>
      Response.json({
        choices: [
          {
            text: ' there',
            finish_reason: 'stop',
            logprobs: {
              tokens: [' there'],
              token_logprobs: [-0.25],
              top_logprobs: [{ ' there': -0.25, x: -2 }],
            },
          },
        ],
      });
    const answer = await client.generate({
      model: 'minnow',
      prompt: 'Hi',
      raw: true,
      stream: false,
      logprobs: true,
      top_logprobs: 2,
    });
    expect(asked[0]).toMatchObject({ endpoint: 'completions', body: { prompt: 'Hi', logprobs: 2 } });
    expect(answer.response).toBe(' there');
    expect(answer.logprobs).toEqual([
      {
        token: ' there',
        logprob: -0.25,
        top_logprobs: [
          { token: ' there', logprob: -0.25 },
          { token: 'x', logprob: -2 },
        ],
      },
    ]);
  });

  it('goes on with raw text until the model ends, as Ollama does, where nothing else was said', async () => {
    reply = () => Response.json({ choices: [{ text: 'x', finish_reason: 'stop' }] });
    for (const provider of ['fxn', 'ollama', 'vllm', 'custom'] as const) {
      backend.provider = provider;
      await client.generate({ model: 'minnow', prompt: 'Hi', raw: true, options: { num_predict: -1 } });
    }
    expect(asked.map(({ body }) => body.max_tokens)).toEqual([
      MAX_CONTEXT_POSITIONS,
      MAX_OLLAMA_CONTEXT,
      null,
      null,
    ]);
    await client.generate({ model: 'minnow', prompt: 'Hi', raw: true, options: { num_predict: 3 } });
    expect(asked.at(-1)!.body.max_tokens).toBe(3);
  });

  it('refuses what would change the prompt behind the model’s back', async () => {
    await expect(client.generate({ model: 'm', prompt: 'x', template: '{{ .Prompt }}' })).rejects.toThrow(
      /template/,
    );
    await expect(client.generate({ model: 'm', prompt: 'x', raw: true, system: 's' })).rejects.toThrow(
      /system/,
    );
  });
});

describe('the rest of the API', () => {
  it('lists and shows models', async () => {
    const { models } = await client.list();
    expect(models.map(({ name }) => name)).toEqual(['minnow']);
    expect((await client.ps()).models).toHaveLength(1);
    expect(await client.show({ model: 'minnow' })).toMatchObject({ capabilities: ['completion'] });
    await expect(client.show({ model: 'nope' })).rejects.toMatchObject({ status_code: 404 });
    expect((await client.version()).version).toMatch(/^\d+\.\d+/);
  });

  it('pulls what is served, which is there already, and nothing else', async () => {
    expect(await client.pull({ model: 'minnow:latest', stream: false })).toEqual({ status: 'success' });
    const statuses = [];
    for await (const { status } of await client.pull({ model: 'minnow', stream: true }))
      statuses.push(status);
    expect(statuses).toEqual(['pulling manifest', 'verifying sha256 digest', 'writing manifest', 'success']);
    await expect(client.pull({ model: 'nope', stream: false })).rejects.toMatchObject({ status_code: 404 });
  });

  it('says which Ollama’s API it speaks: Copilot refuses less than 0.6.4', async () => {
    const [major = 0, minor = 0, patch = 0] = (await client.version()).version.split('.').map(Number);
    expect(major > 0 || minor > 6 || (minor === 6 && patch >= 4)).toBe(true);
  });

  it('says that models are not managed here', async () => {
    await expect(client.push({ model: 'minnow', stream: false })).rejects.toThrow(/not offered/);
    await expect(client.delete({ model: 'minnow' })).rejects.toThrow(/not offered/);
  });
});
