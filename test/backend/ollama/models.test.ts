import { afterEach, describe, expect, it } from 'vitest';
import { createOllamaBackend } from '../../../src/backend/ollama/ollama.ts';
import type { OpenAiProxyConfig } from '../../../src/backend/proxy/openai-proxy.ts';
import type { FakeOllamaOptions } from '../../support/fake-ollama.ts';
import { type OllamaSetup, setUpOllama } from '../../support/ollama-setup.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
const model = (name: string) => ({ name, capabilities: ['completion'] as const, contextLength: 2048 });

let ollama: OllamaSetup;
afterEach(() => ollama.close());
const start = async (config: Partial<OpenAiProxyConfig> = {}, options: FakeOllamaOptions = {}) => {
  ollama = await setUpOllama({ version: '0.24.1', ...options }, config);
};

describe('details', () => {
  it('are asked for once a model, and told of each of its names', async () => {
    await start({}, { models: [model('llama3.2:latest'), model('tiny:1b')] });
    const asked = () => ollama.fake.requests.filter(({ path }) => path === '/api/show').length;
    for (let times = 0; times < 3; times++) {
      for (const { details } of await ollama.backend.models(signal)) {
        expect(details).toMatchObject({
          architecture: 'llama',
          contextLength: 2048,
          trainedContextLength: 131_072,
          blockCount: 28,
          parameters: 3_212_749_888,
          capabilities: ['completion'],
        });
      }
    }
    expect(asked()).toBe(2);
  });

  it('stay away where Ollama does not tell them, and the list does not', async () => {
    await start(
      {},
      {
        models: [model('tiny:1b')],
        fail: ({ path }) => (path === '/api/show' ? { kind: 'status', status: 500, error: 'no' } : undefined),
      },
    );
    const [listed] = await ollama.backend.models(signal);
    expect(listed).toMatchObject({ id: 'tiny:1b' });
    expect(listed?.details?.contextLength).toBeUndefined();
  });
});

describe('names', () => {
  it('are listed as Ollama lists them, and without `:latest`', async () => {
    await start({}, { models: [model('llama3.2:latest'), model('tiny:1b'), model('someone/llama:q4')] });
    const created = Math.floor(Date.parse('2026-01-02T03:04:05+01:00') / 1000);
    expect(await ollama.backend.models(signal)).toMatchObject([
      { id: 'llama3.2:latest', created, ownedBy: 'library' },
      { id: 'llama3.2', created, ownedBy: 'library' },
      { id: 'tiny:1b', created, ownedBy: 'library' },
      { id: 'someone/llama:q4', created, ownedBy: 'someone' },
    ]);
  });

  it('are the client’s in answers, with a tag or without', async () => {
    await start();
    for (const name of ['llama3.2', 'llama3.2:latest']) {
      const answer = await ollama.chat({}, name);
      expect(answer.model).toBe(name);
      expect(ollama.sent().model).toBe(name);
    }
  });

  it('are exchanged where there is an alias', async () => {
    await start({ modelNameAlias: 'llama3.2', fxnId: 'herring' });
    expect(await ollama.backend.models(signal)).toMatchObject([{ id: 'herring', ownedBy: 'library' }]);
    const answer = await ollama.chat({}, 'herring');
    expect(answer.model).toBe('herring');
    expect(ollama.sent().model).toBe('llama3.2');
    const chunks = await ollama.stream({}, 'anything');
    expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set(['anything']));
    await until(() => ollama.reports.length === 2);
    expect(ollama.reports.map((report) => report.model)).toEqual(['herring', 'herring']);
    const tools = [{ type: 'function', function: { name: 'f' } }];
    await ollama.close();
    await start({ modelNameAlias: 'tiny:1b' });
    await expect(ollama.chat({ tools }, 'herring')).rejects.toMatchObject({
      param: 'tools',
      message: expect.not.stringContaining('tiny'),
    });
  });

  it('that no Ollama has are not repeated as a command', async () => {
    await start();
    await expect(ollama.chat({}, 'x; rm -rf ~')).rejects.toMatchObject({
      status: 404,
      message: expect.not.stringContaining('ollama pull'),
    });
    await expect(ollama.complete({}, 'nope')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      param: 'model',
      message: expect.stringContaining('ollama pull nope'),
    });
  });
});

describe('readiness', () => {
  it.each(['', '/', '/v1', '/api', '/api/'])('asks the Ollama behind "%s"', async (path) => {
    await start();
    const timeouts = { connect: 1_000, firstByte: 1_000, idle: 1_000 };
    const backend = createOllamaBackend({ url: `${ollama.fake.url}${path}`, timeouts });
    expect(await backend.readiness(signal)).toEqual({
      ready: true,
      detail: 'forwarding to Ollama 0.24.1, which has llama3.2:latest, tiny:1b, qwen3:latest',
    });
  });

  it('finds the alias by any of its names, and says what to pull without it', async () => {
    await start({ modelNameAlias: 'LLAMA3.2' });
    expect(await ollama.backend.readiness(signal)).toMatchObject({ ready: true });
    await ollama.close();
    await start({ modelNameAlias: 'mistral' });
    expect(await ollama.backend.readiness(signal)).toEqual({
      ready: false,
      detail: 'Ollama 0.24.1 has no model "mistral"; on its machine run: ollama pull mistral',
    });
  });

  it('is not there without a model, or without Ollama', async () => {
    await start({}, { models: [] });
    expect(await ollama.backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('has no model yet'),
    });
    await ollama.fake.close();
    expect(await ollama.backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('ollama serve'),
    });
  });

  it('tells another server from an Ollama', async () => {
    ollama = await setUpOllama({}, {}, { fetch: async () => Response.json({ object: 'list', data: [] }) });
    expect(await ollama.backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringMatching(/sent no \/api\/(tags|version) of Ollama’s/),
    });
  });
});
