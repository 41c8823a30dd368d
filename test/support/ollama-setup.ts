import type OpenAI from 'openai';
import type { AnswerReport, Backend } from '../../src/backend/backend.ts';
import { createOllamaBackend } from '../../src/backend/ollama/ollama.ts';
import type { OpenAiProxyConfig, ProxyOptions } from '../../src/backend/proxy/openai-proxy.ts';
import { type ApiServer, serveApi } from './api-server.ts';
import { type FakeOllama, type FakeOllamaOptions, startFakeOllama } from './fake-ollama.ts';

type Chunk = OpenAI.ChatCompletionChunk;

/** OpenAI's client → a gateway → the backend → a fake Ollama. */
export interface OllamaSetup {
  readonly fake: FakeOllama;
  readonly backend: Backend;
  readonly api: ApiServer;
  readonly reports: AnswerReport[];
  chat(extra?: object, model?: string): Promise<OpenAI.ChatCompletion>;
  stream(extra?: object, model?: string): Promise<Chunk[]>;
  complete(extra?: object, model?: string): Promise<OpenAI.Completion>;
  /** What Ollama was asked, the last time. */
  sent(): Record<string, unknown>;
  close(): Promise<void>;
}

export async function setUpOllama(
  fakeOptions: FakeOllamaOptions = {},
  config: Partial<OpenAiProxyConfig> = {},
  options: ProxyOptions = {},
): Promise<OllamaSetup> {
  const fake = await startFakeOllama(fakeOptions);
  const timeouts = { connect: 1_000, firstByte: 30_000, idle: 30_000 };
  const backend = createOllamaBackend({ url: fake.url, timeouts, ...config }, options);
  const reports: AnswerReport[] = [];
  const watched: Backend = {
    ...backend,
    chatCompletions: (body, context) =>
      backend.chatCompletions(body, { ...context, onAnswered: (report) => reports.push(report) }),
    completions: (body, context) =>
      backend.completions(body, { ...context, onAnswered: (report) => reports.push(report) }),
  };
  const api = await serveApi(() => watched);
  const request = (model: string, extra: object) => ({
    model,
    messages: [{ role: 'user' as const, content: 'sing of the sea' }],
    temperature: 0,
    ...extra,
  });
  return {
    fake,
    backend,
    api,
    reports,
    chat: (extra = {}, model = 'llama3.2') =>
      api.client.chat.completions.create(
        request(model, extra) as OpenAI.ChatCompletionCreateParamsNonStreaming,
      ),
    async stream(extra = {}, model = 'llama3.2') {
      const body = { ...request(model, extra), stream: true } as OpenAI.ChatCompletionCreateParamsStreaming;
      const chunks: Chunk[] = [];
      for await (const chunk of await api.client.chat.completions.create(body)) chunks.push(chunk);
      return chunks;
    },
    complete: (extra = {}, model = 'llama3.2') =>
      api.client.completions.create({
        model,
        prompt: 'Once upon a tide',
        temperature: 0,
        ...extra,
      } as OpenAI.CompletionCreateParamsNonStreaming),
    sent: () => fake.requests.findLast(({ path }) => /chat|generate/.test(path))!.body,
    async close() {
      await api.close();
      await fake.close();
    },
  };
}

/** The text of choice `index`. */
export const textOf = (chunks: readonly Chunk[], index = 0): string =>
  chunks
    .flatMap(({ choices }) => choices)
    .filter((choice) => choice.index === index)
    .map(({ delta }) => delta.content ?? '')
    .join('');
