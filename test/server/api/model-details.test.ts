/** What is told of a model beside its name: the same facts in each API, whoever serves it. */
import { describe, expect, it } from 'vitest';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { modelDetailsSchema } from '../../../src/model/model-details.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { CONTEXT, fakeModel } from '../../support/fake-model.ts';
import { nativeApp } from '../native-app.ts';

const native = () =>
  createFxnBackend({
    generator: new FakeGenerator(says('x')),
    model: { ...fakeModel, details: { architecture: 'qwen3', quantization: 'BF16', format: 'safetensors' } },
    readiness: () => ({ ready: true, detail: '' }),
  });

const custom = (list: object) =>
  createCustomBackend(
    { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 } },
    { fetch: (async () => Response.json(list)) as typeof fetch },
  );

const listed = async (list: object) => {
  const pool = new NodePool();
  pool.add({ id: 'proxy-1', name: 'b', backend: custom(list), maxConcurrent: 8, anyModel: false });
  const { send } = nativeApp(createRoutedBackend({ pool, provider: 'custom' }));
  return (await (await send('/v1/models')).json()).data;
};

describe('GET /v1/models', () => {
  it('tells the context of the mesh’s model under vLLM’s name, and what llama.cpp tells', async () => {
    const { send } = nativeApp(native());
    const model = await (await send('/v1/models/fake')).json();
    expect(model).toMatchObject({
      id: 'fake',
      max_model_len: CONTEXT,
      meta: { n_ctx_train: CONTEXT, n_vocab: 261, n_embd: 8 },
    });
    // Embedding and head 261 × 8 each, the final norm, and two layers of attention (2 norms, q, k, v, o) and MLP.
    const layer = 8 * 2 + 8 * 8 * 2 + 8 * 4 * 2 + 3 * 8 * 16;
    expect(model.meta.n_params).toBe(261 * 8 * (fakeModel.spec.tiedEmbeddings ? 1 : 2) + 8 + 2 * layer);
    expect((await (await send('/v1/models')).json()).data).toEqual([model]);
  });

  it.each([
    ['vLLM', { max_model_len: 4096 }, 4096],
    ['llama.cpp', { meta: { n_ctx: 2048, n_ctx_train: 32768 } }, 2048],
    ['llama.cpp, older', { meta: { n_ctx_train: 32768 } }, undefined],
    ['OpenRouter', { context_length: 131072 }, 131072],
    ['Groq', { context_window: 8192 }, 8192],
    ['Mistral', { max_context_length: 32000 }, 32000],
    ['one that does not know', {}, undefined],
    [
      'one that says nonsense',
      { max_model_len: '4k', meta: 'none', context_length: -1, capabilities: [] },
      undefined,
    ],
  ])('passes on what %s says', async (_, entry, context) => {
    const [model] = await listed({
      object: 'list',
      data: [{ id: 'm', created: 7, owned_by: 'x', ...entry }],
    });
    expect(model).toMatchObject({ id: 'm', created: 7, owned_by: 'x' });
    expect(model.max_model_len).toBe(context);
  });

  it('tells what the model was made for beside what is served', async () => {
    const [model] = await listed({
      data: [{ id: 'm', meta: { n_ctx: 2048, n_ctx_train: 32768, n_params: 5 } }],
    });
    expect(model).toMatchObject({ max_model_len: 2048, meta: { n_ctx_train: 32768, n_params: 5 } });
  });
});

describe('/api/show', () => {
  it('tells what Copilot and others look for, of the mesh’s model', async () => {
    const { post, send } = nativeApp(native());
    expect(await (await post('/api/show', { model: 'fake:latest' })).json()).toMatchObject({
      capabilities: ['completion'],
      details: { family: 'qwen3', families: ['qwen3'], format: 'safetensors', quantization_level: 'BF16' },
      model_info: {
        'general.architecture': 'qwen3',
        'qwen3.context_length': CONTEXT,
        'qwen3.embedding_length': 8,
        'qwen3.block_count': 2,
        'qwen3.attention.head_count': 2,
        'qwen3.attention.head_count_kv': 1,
      },
    });
    const { models } = await (await send('/api/ps')).json();
    expect(models).toMatchObject([{ name: 'fake', context_length: CONTEXT }]);
    expect(Date.parse(models[0].expires_at)).toBeGreaterThan(Date.now());
  });

  it.each([
    [{ supported_parameters: ['tools'], context_length: 9 }, ['completion', 'tools'], 9],
    [{ architecture: { input_modalities: ['text', 'image'] } }, ['completion', 'vision'], undefined],
    [{ capabilities: { function_calling: true, vision: false } }, ['completion', 'tools'], undefined],
    [{}, ['completion'], undefined],
  ])('tells of a proxy’s model what its backend says: %j', async (entry, capabilities, context) => {
    const { post } = nativeApp(custom({ data: [{ id: 'm', ...entry }] }));
    const shown = await (await post('/api/show', { model: 'm' })).json();
    expect(shown.capabilities).toEqual(capabilities);
    expect(shown.model_info[`${shown.model_info['general.architecture']}.context_length`]).toBe(context);
  });
});

it('takes a wrong value for none, because a list is another server’s text', () => {
  expect(modelDetailsSchema.parse({ contextLength: 'x', architecture: '\u001b[2J', blockCount: 2 })).toEqual({
    blockCount: 2,
  });
});
