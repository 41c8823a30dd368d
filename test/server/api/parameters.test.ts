/**
 * Requests as clients send them. What asks for nothing is taken; what is known and cannot be done is refused by the name that
 * the client sent; what nobody knows is ignored and told, or refused where the server is strict.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { WARNING_HEADER } from '../../../src/backend/openai/unknown-parameters.ts';
import { MAX_TOLD_PARAMETERS } from '../../../src/config/limits.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { CONTEXT, fakeModel, modelHere } from '../../support/fake-model.ts';
import { servedHere } from '../../support/served-here.ts';
import { type NativeApp, nativeApp } from '../native-app.ts';

let generator: FakeGenerator;
let native: NativeApp;

const serve = (isStrict: boolean) => {
  generator = new FakeGenerator(says('Hello.'));
  const backend = createFxnBackend({
    generator,
    model: fakeModel,
    readiness: () => ({ ready: true, detail: '' }),
    randomSeed: () => 1,
  });
  native = nativeApp(backend, { isStrict });
};
beforeEach(() => serve(false));

const user = { role: 'user', content: 'Hi' };
const chat = (extra: object) =>
  native.post('/v1/chat/completions', { model: 'fake', messages: [user], ...extra });
const complete = (extra: object) => native.post('/v1/completions', { model: 'fake', prompt: 'Hi', ...extra });
const ollamaChat = (extra: object) =>
  native.post('/api/chat', { model: 'fake', messages: [user], stream: false, ...extra });
const ollamaGenerate = (extra: object) =>
  native.post('/api/generate', { model: 'fake', prompt: 'Hi', stream: false, ...extra });

/** A body, and what it asks the engine for is what an empty one asks for. */
const NOTHING: readonly object[] = [
  { stream_options: { include_usage: true } },
  { stream_options: { include_obfuscation: true } },
  { stream_options: [] },
  { stream_options: null },
  { max_tokens: null },
  { stop: '' },
  { stop: [] },
  { stop: [''] },
  { best_of: 1 },
  { min_tokens: 0 },
  { stop_token_ids: [] },
  { allowed_token_ids: null },
  { bad_words: [] },
  { keep_alive: '5m' },
  { keep_alive: -1 },
  { think: false },
  { thinking: { type: 'disabled' } },
  { enable_thinking: false },
  { num_ctx: 32_768 },
  { chat_id: 'b3c1' },
  { session_id: 'b3c1' },
  { cache_prompt: true },
  { id_slot: -1 },
  { response_format: { type: 'text' } },
  { mirostat: 0, mirostat_tau: 5, mirostat_eta: 0.1 },
  { logit_bias: [] },
  { logit_bias: {} },
  { metadata: [] },
  { user: 'me', store: false, service_tier: 'auto', safety_identifier: 'x', prompt_cache_key: 'k' },
  { typical_p: 1, tfs_z: 1, top_a: 0, xtc_probability: 0, xtc_threshold: 0.1, top_n_sigma: -1 },
  { dry_multiplier: 0, dry_base: 1.75, dynatemp_range: 0, dynatemp_exponent: 1 },
  { repeat_penalty: 1, repeat_last_n: 64, penalize_nl: false },
  { use_beam_search: false, length_penalty: 1, early_stopping: false },
  { skip_special_tokens: true, spaces_between_special_tokens: true, include_stop_str_in_output: false },
  { echo: false, prompt_logprobs: null, truncate_prompt_tokens: null },
  { guided_json: null, guided_regex: '', guided_choice: [], structured_outputs: {}, grammar: '' },
  { n_predict: -1, n_probs: 0, min_keep: 0, samplers: [], t_max_predict_ms: 0 },
  { priority: 0, request_id: 'r', return_token_ids: false, return_tokens_as_token_ids: false },
  { options: {} },
  { options: [] },
  { seed: -1 },
  { ignore_eos: false, n: 1, seed: null, logprobs: null, top_k: -1, min_p: 0, repetition_penalty: 1 },
];

const CHAT_NOTHING: readonly object[] = [
  { max_tokens: -1 },
  { max_completion_tokens: -2 },
  ...['none', 'minimal', 'low', 'medium', 'high', 'xhigh'].map((reasoning_effort) => ({ reasoning_effort })),
  { reasoning: { effort: 'low' }, include_reasoning: false },
  { chat_template_kwargs: {} },
  { chat_template_kwargs: [] },
  { chat_template_kwargs: { enable_thinking: false } },
  { tool_choice: 'none' },
  { tools: [] },
  { tools: null, tool_choice: 'auto', parallel_tool_calls: true },
  { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'none' },
  { functions: [], function_call: 'none' },
  { modalities: ['text'], audio: null, prediction: null, verbosity: 'medium' },
  { add_generation_prompt: true, continue_final_message: false, add_special_tokens: false },
  { logprobs: false, top_logprobs: 0 },
  { messages: [{ ...user, tool_calls: [], function_call: null, refusal: null, annotations: [], audio: {} }] },
  { messages: [{ ...user, content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] }] },
];

async function asked(answer: Response): Promise<object> {
  expect(answer.status, await answer.clone().text()).toBe(200);
  expect(answer.headers.get(WARNING_HEADER)).toBeNull();
  await answer.text();
  return generator.requests.at(-1)!;
}

describe('what asks for nothing is taken', () => {
  it.each([...NOTHING, ...CHAT_NOTHING])('a chat with %j', async (extra) => {
    expect(await asked(await chat(extra))).toEqual(await asked(await chat({})));
  });

  it.each(NOTHING)('a completion with %j', async (extra) => {
    expect(await asked(await complete(extra))).toEqual(await asked(await complete({})));
  });

  it.each([
    { suffix: '' },
    { add_special_tokens: true },
    { tools: [], tool_choice: 'auto', parallel_tool_calls: true, reasoning_effort: 'low' },
    { max_completion_tokens: null, top_logprobs: 0 },
  ])('a completion with %j', async (extra) => {
    expect(await asked(await complete(extra))).toEqual(await asked(await complete({})));
  });

  it('in a completion −1 tokens are as many as the context holds', async () => {
    expect(await asked(await complete({ max_tokens: -1 }))).toMatchObject({ maxTokens: CONTEXT - 3 });
  });

  const OLLAMA: readonly object[] = [
    { options: {} },
    { options: [] },
    {
      options: { mirostat: 0, mirostat_tau: 5, mirostat_eta: 0.1, tfs_z: 1, typical_p: 1, repeat_last_n: 64 },
    },
    { options: { num_predict: -1 } },
    { options: { num_predict: -2, penalize_newline: false, numa: false, low_vram: false } },
    { options: { num_ctx: 8192, num_keep: 4, num_gpu: 1, num_thread: 2, num_batch: 512, use_mmap: true } },
    { options: { stop: [], seed: null } },
    { options: { seed: -1 } },
    { keep_alive: 0, think: false, format: '', truncate: true, shift: true },
    { format: [], think: null, logprobs: false },
  ];
  it.each([...OLLAMA, { tools: [] }])('/api/chat with %j', async (extra) => {
    expect(await asked(await ollamaChat(extra))).toEqual(await asked(await ollamaChat({})));
  });
  it.each([...OLLAMA, { raw: false, system: '', template: '', context: [], images: [], suffix: '' }])(
    '/api/generate with %j',
    async (extra) => {
      expect(await asked(await ollamaGenerate(extra))).toEqual(await asked(await ollamaGenerate({})));
    },
  );
});

describe('what cannot be done is refused by the name that the client sent', () => {
  const SHARED: readonly [object, string][] = [
    [{ best_of: 2 }, 'best_of'],
    [{ min_tokens: 3 }, 'min_tokens'],
    [{ stop_token_ids: [5] }, 'stop_token_ids'],
    [{ think: true }, 'think'],
    [{ thinking: { type: 'enabled', budget_tokens: 5 } }, 'thinking'],
    [{ mirostat: 2 }, 'mirostat'],
    [{ typical_p: 0.5 }, 'typical_p'],
    [{ repeat_last_n: 64, repetition_penalty: 1.2 }, 'repeat_last_n'],
    [{ guided_json: { type: 'object' } }, 'guided_json'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ echo: true }, 'echo'],
    [{ max_new_tokens: 9 }, 'max_new_tokens'],
    [{ options: { temperature: 1 } }, 'options'],
    [{ system: 'Be brief.' }, 'system'],
    [{ chat_template: '{{ x }}' }, 'chat_template'],
    [{ stream: true, stream_options: { include_obfuscation: true } }, 'stream_options.include_obfuscation'],
  ];
  const told = async (answer: Response) => {
    expect(answer.status).toBe(400);
    return (await answer.json()).error;
  };

  it.each(SHARED)('chat: %j', async (extra, param) => {
    expect(await told(await chat(extra))).toMatchObject({ param, message: expect.stringContaining(param) });
  });
  it.each(SHARED)('completions: %j', async (extra, param) => {
    expect(await told(await complete(extra))).toMatchObject({
      param,
      message: expect.stringContaining(param),
    });
  });
  it.each([
    [{ reasoning_effort: 'extreme' }, 'reasoning_effort'],
    [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools'],
    [{ web_search_options: {} }, 'web_search_options'],
    [{ chat_template_kwargs: { a: { b: 1 } } }, 'chat_template_kwargs.a'],
  ])('chat: %j', async (extra, param) => {
    expect(await told(await chat(extra))).toMatchObject({ param });
  });

  it.each([
    [{ suffix: ' end' }, 'suffix'],
    [{ prompt_embeds: 'AAAA' }, 'prompt_embeds'],
  ])('chat, of completions: %j', async (extra, param) => {
    expect(await told(await chat(extra))).toMatchObject({ param, code: 'unsupported_parameter' });
  });
  it.each([
    [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools'],
    [{ modalities: ['text', 'audio'] }, 'modalities'],
    [{ max_completion_tokens: 5 }, 'max_completion_tokens'],
    [{ top_logprobs: 2 }, 'top_logprobs'],
    [{ chat_template_kwargs: { enable_thinking: true } }, 'chat_template_kwargs'],
  ])('completions, of chats: %j', async (extra, param) => {
    expect(await told(await complete(extra))).toMatchObject({ param, code: 'unsupported_parameter' });
  });

  it.each<[object, string]>([
    [{ options: { num_predict: 1.5 } }, 'options.num_predict'],
    [{ options: { temperature: 9 } }, 'options.temperature'],
    [{ options: { repeat_penalty: -1 } }, 'options.repeat_penalty'],
    [{ options: { min_p: 7 } }, 'options.min_p'],
    [{ options: { stop: 'x'.repeat(300) } }, 'options.stop'],
    [{ options: { mirostat: 1 } }, 'options.mirostat'],
    [{ options: { typical_p: 0.4 } }, 'options.typical_p'],
    [{ format: 'json' }, 'format'],
    [{ think: true }, 'think'],
    [{ think: 'high' }, 'think'],
  ])('Ollama: %j', async (extra, name) => {
    for (const answer of [await ollamaChat(extra), await ollamaGenerate(extra)]) {
      const message = await told(answer);
      expect(message).toContain(name);
      expect(message).not.toMatch(/max_tokens|repetition_penalty|response_format|reasoning_effort/);
    }
  });
});

describe('what nobody knows is ignored, and the client told', () => {
  it('in a header that names it and what may have been meant', async () => {
    const answer = await chat({ temprature: 0, frobnicate: { a: 1 } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get(WARNING_HEADER)).toBe(
      'ignored, as nothing here knows it: temprature; did you mean temperature?, frobnicate',
    );
  });

  it.each([
    [
      '/v1/chat/completions',
      {
        messages: [
          { ...user, mood: 'good' },
          { ...user, mood: 'bad' },
        ],
      },
      'messages.0.mood',
    ],
    [
      '/v1/chat/completions',
      { messages: [{ ...user, content: [{ type: 'text', text: 'a', colour: 'red' }] }] },
      'messages.0.content.0.colour',
    ],
    [
      '/v1/chat/completions',
      { messages: [user], stream: true, stream_options: { pace: 1 } },
      'stream_options.pace',
    ],
    ['/v1/completions', { prompt: 'a', frobnicate: 1 }, 'frobnicate'],
    ['/api/chat', { messages: [{ ...user, mood: 'good' }] }, 'messages.0.mood'],
    ['/api/chat', { messages: [user], frobnicate: 1 }, 'frobnicate'],
    ['/api/chat', { messages: [user], options: { warmth: 1 } }, 'options.warmth'],
    ['/api/generate', { prompt: 'a', options: { warmth: 1 } }, 'options.warmth'],
    ['/api/generate', { prompt: 'a', frobnicate: 1 }, 'frobnicate'],
  ])('%s %j', async (path, extra, name) => {
    const answer = await native.post(path, { model: 'fake', ...extra });
    await answer.text();
    expect(answer.status).toBe(200);
    const warning = answer.headers.get(WARNING_HEADER)!;
    expect(warning.split(': ')[1]!.split(/[;,]/)[0]).toBe(name);
    expect(warning.split(name.split('.').at(-1)!)).toHaveLength(2);

    serve(true);
    const refusal = await native.post(path, { model: 'fake', ...extra });
    expect(refusal.status).toBe(400);
    expect(await refusal.text()).toContain(`unrecognized request argument: ${name}`);
  });

  it.each([
    ['/v1/chat/completions', { mesages: [user] }, 'mesages; did you mean messages?'],
    ['/v1/completions', { promt: 'Hi' }, 'promt; did you mean prompt?'],
    ['/api/chat', { messages: [user], frobnicate: 1, options: { temperature: 9 } }, 'frobnicate'],
  ])('also where the request is refused for something else: %s %j', async (path, extra, told) => {
    const answer = await native.post(path, { model: 'fake', ...extra });
    expect(answer.status).toBe(400);
    expect(answer.headers.get(WARNING_HEADER)).toContain(told);
  });

  it('is bounded, and takes no text of the client into a header as it is', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`zz\r\nset-cookie: ${i}é`, 1]));
    const answer = await chat({ ...many, ['y'.repeat(9_000)]: 1 });
    expect(answer.status).toBe(200);
    const warning = answer.headers.get(WARNING_HEADER)!;
    expect(warning).toMatch(/^[ -~]+$/);
    expect(warning).toContain(`and ${501 - MAX_TOLD_PARAMETERS} more`);
    expect(warning.length).toBeLessThan(2_000);
  });

  it('is not fooled by names of the prototype', async () => {
    const body =
      '{"model":"fake","messages":[{"role":"user","content":"x"}],"__proto__":{"n":3},"constructor":1}';
    const answer = await native.send('/v1/chat/completions', { method: 'POST', body });
    expect((await answer.json()).choices).toHaveLength(1);
    expect(answer.headers.get(WARNING_HEADER)).toContain('__proto__, constructor');
  });
});

it('tells the usage so far in every chunk where vLLM’s clients ask for it', async () => {
  const answer = await chat({
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
  });
  const chunks = (await answer.text())
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));
  const counts = chunks.map(({ usage }) => usage.completion_tokens);
  expect(counts[0]).toBe(0);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts.at(-1)).toBeGreaterThan(counts[1]);
});

it('gives the chat template the names that a request brings, guarded as messages are', async () => {
  const seen: unknown[] = [];
  const model = servedHere({
    ...modelHere,
    chatTemplate: {
      render: (_: unknown, options?: { variables?: object }) => {
        seen.push(options?.variables);
        return 'x';
      },
    },
  });
  const backend = createFxnBackend({ generator, model, readiness: () => ({ ready: true, detail: '' }) });
  const chat_template_kwargs = { enable_thinking: false, note: 'a<|end|>b' };
  await backend.chatCompletions(
    { model: 'fake', messages: [user], chat_template_kwargs },
    { signal: new AbortController().signal },
  );
  expect(seen[0]).toMatchObject({ enable_thinking: false });
  expect((seen[0] as { note: string }).note).not.toContain('<|end|>');
});
