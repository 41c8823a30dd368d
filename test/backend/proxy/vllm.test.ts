import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerReport, Backend } from '../../../src/backend/backend.ts';
import type { OpenAiProxyConfig } from '../../../src/backend/proxy/openai-proxy.ts';
import { createVllmBackend } from '../../../src/backend/proxy/vllm.ts';
import { Secret } from '../../../src/config/secret.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { FakeVllm } from '../../support/fake-vllm.ts';
import type { ToyAnswer, ToySampling } from '../../support/toy-model.ts';

const timeouts = { connect: 1_000, firstByte: 30_000, idle: 30_000 };
const { signal } = new AbortController();

const MODELS = [
  { id: 'llama3-8b', max_model_len: 8192, parent: null },
  { id: 'sql-lora', max_model_len: null, parent: 'llama3-8b' },
];
const messages = [{ role: 'user' as const, content: 'Count.' }];

/** Whatever the prompt: "one two three four five six". */
function counts(_prompt: string, { maxTokens, stop = [] }: ToySampling): ToyAnswer {
  const words = ['one', ' two', ' three', ' four', ' five', ' six'];
  const top = [' one', ' two'].map((text) => ({ text, logprob: -0.25 }));
  const stopAt = words.findIndex((word) => stop.includes(word));
  const told = words.slice(0, Math.min(maxTokens, stopAt < 0 ? words.length : stopAt + 1));
  return {
    tokens: told.map((text) => ({ text, logprob: -0.25, top })),
    text: told.filter((word) => !stop.includes(word)).join(''),
    finish: stopAt < 0 && maxTokens < words.length ? 'length' : 'stop',
  };
}

let vllm: FakeVllm;
let url: string;
let backend: Backend;
let api: ApiServer;

beforeAll(async () => {
  api = await serveApi(() => backend);
});
afterAll(() => api.close());
beforeEach(async () => {
  vllm = await FakeVllm.start({ models: MODELS, generate: counts });
  url = vllm.url;
  use({});
});
afterEach(() => vllm.close());

const use = (config: Partial<OpenAiProxyConfig>) => {
  backend = createVllmBackend({ url, timeouts, ...config });
};
const chat = (extra: object = {}) =>
  api.client.chat.completions.create({
    model: 'llama3-8b',
    messages,
    ...extra,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming);

describe('readiness', () => {
  it.each(['', '/v1', '/v1/'])(
    'asks /health beside the API of "%s" and names what is served',
    async (path) => {
      use({ url: `${url}${path}` });
      expect(await backend.readiness(signal)).toEqual({
        ready: true,
        detail: 'vLLM serves llama3-8b (context of 8192 tokens), sql-lora',
      });
      expect(vllm.received.map((request) => request.path)).toEqual(['/health', '/v1/models', '/version']);
    },
  );

  it('knows a dead engine', async () => {
    vllm.health = 503;
    expect(await backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('not healthy (503)'),
    });
  });

  it('says what to wait for while nothing listens', async () => {
    await vllm.close();
    expect(await backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringMatching(/ECONNREFUSED.*Application startup complete/),
    });
  });

  it('tells a wrong key from a missing one', async () => {
    vllm.apiKey = 'right';
    expect((await backend.readiness(signal)).detail).toMatch(/asks for a key \(401\): Unauthorized/);
    use({ apiKey: new Secret('wrong-hunter') });
    const { ready, detail } = await backend.readiness(signal);
    expect(ready).toBe(false);
    expect(detail).toMatch(/refused this node's key \(401\).*correct api_key/);
    expect(detail).not.toContain('hunter');
    use({ apiKey: new Secret('right') });
    expect((await backend.readiness(signal)).ready).toBe(true);
  });

  it('misses the model of its alias', async () => {
    use({ modelNameAlias: 'llama3-70b' });
    expect(await backend.readiness(signal)).toEqual({
      ready: false,
      detail:
        'vLLM serves llama3-8b, sql-lora, and not "llama3-70b"; correct model_name_alias, or start vLLM with --served-model-name',
    });
  });
});

describe('requests', () => {
  it('carry its own parameters, and answers its own fields', async () => {
    const extensions = {
      min_p: 0.1,
      top_k: 5,
      structured_outputs: { choice: ['one', 'two'] },
      prompt_logprobs: 1,
      repetition_penalty: 1.1,
      chat_template_kwargs: { enable_thinking: false },
      guided_json: { type: 'object' },
    };
    const answer = await chat(extensions);
    expect(vllm.received[0]!.body).toMatchObject(extensions);
    expect(answer).toMatchObject({ prompt_logprobs: [null, { 9906: { rank: 1 } }] });
    expect(answer.choices[0]).toMatchObject({
      stop_reason: null,
      message: { content: 'one two three four five six' },
    });
  });

  it('give n choices with log probabilities, whole and streamed', async () => {
    const asked = { n: 2, logprobs: true, top_logprobs: 2 };
    const answer = await chat(asked);
    expect(answer.choices).toHaveLength(2);
    expect(answer.choices[1]!.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
    const texts = ['', ''];
    const stream = await api.client.chat.completions.create({
      model: 'llama3-8b',
      messages,
      ...asked,
      stream: true,
    });
    for await (const { choices } of stream) {
      for (const { index, delta } of choices) texts[index] += delta.content ?? '';
    }
    expect(texts).toEqual(['one two three four five six', 'one two three four five six']);
  });

  it('report how they ended, and the backend’s count of tokens', async () => {
    const reports: AnswerReport[] = [];
    const ask = async (extra: object) => {
      const response = await backend.chatCompletions(
        { model: 'llama3-8b', messages, ...extra },
        { signal, onAnswered: (report) => reports.push(report) },
      );
      await response.text();
    };
    await ask({});
    await ask({ stream: true, max_tokens: 2, stream_options: { include_usage: true } });
    await ask({ stream: true, stop: ' two' });
    await ask({ max_tokens: 0 });
    expect(reports).toMatchObject([
      { model: 'llama3-8b', outcome: 'stop', promptTokens: 2, completionTokens: 6, timeToFirstTokenMs: null },
      { outcome: 'length', promptTokens: 2, completionTokens: 2, timeToFirstTokenMs: expect.any(Number) },
      { outcome: 'stop', promptTokens: 2, completionTokens: 2 },
      { outcome: 'error', completionTokens: null },
    ]);
    expect(vllm.received.map(({ body }) => body.stream_options)).toEqual([
      undefined,
      { include_usage: true },
      { include_usage: true },
      undefined,
    ]);
  });

  it('tell usage in a stream only to a client that asks, though all are counted', async () => {
    const read = async (stream_options?: object | null) => {
      const stream = await api.client.chat.completions.create({
        model: 'llama3-8b',
        messages,
        stream: true,
        ...(stream_options !== undefined && { stream_options }),
      });
      const usages = [];
      for await (const { usage, choices } of stream) {
        if (usage) usages.push(usage.completion_tokens);
        else expect(choices).toHaveLength(1);
      }
      return usages;
    };
    expect(await read()).toEqual([]);
    expect(await read(null)).toEqual([]);
    expect(await read({ continuous_usage_stats: true })).toEqual([]);
    expect(vllm.received.at(-1)!.body.stream_options).toEqual({
      continuous_usage_stats: false,
      include_usage: true,
    });
    expect(await read({ include_usage: true })).toEqual([6]);
  });

  it('report a client that hangs up', async () => {
    const reports: AnswerReport[] = [];
    const response = await backend.chatCompletions(
      { model: 'llama3-8b', messages, stream: true, n: 50 },
      { signal, onAnswered: (report) => reports.push(report) },
    );
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(reports).toMatchObject([{ outcome: 'aborted' }]);
  });

  it('exchange the model’s name in its errors', async () => {
    use({ modelNameAlias: 'gone' });
    await expect(chat({ model: 'mine' })).rejects.toMatchObject({
      status: 404,
      param: 'model',
      message: expect.stringContaining('The model `mine` does not exist.'),
    });
  });

  it('pass its refusals on', async () => {
    const refusal = await chat({ max_tokens: 0 }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(OpenAI.BadRequestError);
    expect(refusal).toMatchObject({ status: 400, param: 'max_tokens' });
  });

  it('refuse what this version is known to ignore', async () => {
    vllm.version = '0.12.0';
    await backend.readiness(signal);
    await expect(chat({ guided_choice: ['one'] })).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'guided_choice',
      message: expect.stringContaining('structured_outputs: {"choice": …}'),
    });
    await expect(
      chat({ guided_choice: null, structured_outputs: { choice: ['one'] } }),
    ).resolves.toBeDefined();
  });
});
