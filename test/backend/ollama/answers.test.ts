import type OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import type { FakeOllamaOptions } from '../../support/fake-ollama.ts';
import { type OllamaSetup, setUpOllama, textOf } from '../../support/ollama-setup.ts';
import { until } from '../../support/until.ts';

let ollama: OllamaSetup;
afterEach(() => ollama.close());
const start = async (options: FakeOllamaOptions = {}) => {
  ollama = await setUpOllama(options);
};

describe('a chat', () => {
  it('whole and streamed has one text, one usage, and the client’s name for the model', async () => {
    await start();
    const whole = await ollama.chat();
    expect(whole).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      model: 'llama3.2',
      choices: [
        { index: 0, message: { role: 'assistant', refusal: null }, logprobs: null, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 5 },
      shoal: { stages: [], restarts: 0, tokens_per_second: 200, load_ms: 4, prompt_ms: 6 },
    });
    const { content } = whole.choices[0]!.message;
    const { usage } = whole;
    expect(content!.split(' ').length).toBe(usage!.completion_tokens);
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + usage!.completion_tokens);

    const chunks = await ollama.stream({ stream_options: { include_usage: true } });
    expect(textOf(chunks)).toBe(content);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '', refusal: null });
    expect(chunks.at(-2)).toMatchObject({ choices: [{ delta: {}, finish_reason: 'stop' }], usage: null });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(new Set(chunks.map(({ model }) => model))).toEqual(new Set(['llama3.2']));
    const counts = { promptTokens: usage!.prompt_tokens, completionTokens: usage!.completion_tokens };
    await until(() => ollama.reports.length === 2);
    for (const report of ollama.reports)
      expect(report).toMatchObject({
        model: 'llama3.2',
        outcome: 'stop',
        ...counts,
        timeToFirstTokenMs: expect.any(Number),
      });
  });

  it('leaves its connection to the next', async () => {
    await start();
    for (let request = 0; request < 4; request++) {
      await ollama.chat();
      await ollama.stream();
      await until(() => ollama.fake.running === 0);
    }
    // The last bytes of an answer are read behind it, and a request that comes before them opens another.
    expect(ollama.fake.connections).toBeLessThan(8);
    expect(ollama.fake.hangUps).toBe(0);
  });

  it('has no usage chunk unless it is asked for', async () => {
    await start();
    const chunks = await ollama.stream();
    expect(chunks.every((chunk) => !('usage' in chunk))).toBe(true);
  });

  it('ends at max_tokens, at a stop string, and repeats itself with a seed', async () => {
    await start();
    const say = async (extra: object) => (await ollama.chat(extra)).choices[0]!;
    const { message } = await say({});
    const text = message.content!;
    const short = await say({ max_completion_tokens: 3 });
    expect(short).toMatchObject({ finish_reason: 'length' });
    expect(text.startsWith(short.message.content!)).toBe(true);
    expect(ollama.reports.at(-1)).toMatchObject({ outcome: 'length', completionTokens: 3 });
    const stop = text.split(' ')[4]!;
    expect((await say({ stop })).message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect((await say({ stop: [stop, 'nothing'] })).finish_reason).toBe('stop');
    const seeded = async (seed: number) => (await say({ seed, temperature: 1 })).message.content;
    expect(await seeded(7)).toBe(await seeded(7));
    expect(await seeded(7)).not.toBe(await seeded(8));
    expect(await seeded(-7)).toBe(await seeded(-7));
  });

  it('calls tools, several at once, and takes their results back', async () => {
    await start();
    const tool = (name: string) => ({
      type: 'function' as const,
      function: { name, parameters: { type: 'object', properties: { port: { type: 'string' } } } },
    });
    const messages = [{ role: 'user' as const, content: 'get_tide, then get_wind' }];
    const request = { messages, tools: [tool('get_tide'), tool('get_wind')] };
    const whole = await ollama.chat(request);
    const calls = whole.choices[0]!.message.tool_calls!;
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
    expect(calls).toMatchObject([
      { type: 'function', function: { name: 'get_tide', arguments: '{"port":"port of the sea"}' } },
      { type: 'function', function: { name: 'get_wind' } },
    ]);
    expect(calls[0]!.id).not.toBe(calls[1]!.id);

    const chunks = await ollama.stream(request);
    const streamed = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    expect(streamed.map(({ index }) => index)).toEqual([0, 1]);
    expect(streamed.map(({ index: _, ...call }) => call)).toEqual(calls);
    expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('tool_calls');

    const result = { role: 'tool' as const, tool_call_id: calls[0]!.id, content: 'low at noon' };
    const answer = await ollama.chat({
      ...request,
      messages: [...messages, whole.choices[0]!.message, result],
    });
    expect(answer.choices[0]!.message.content).toBe('get_tide said low at noon');
    const none = await ollama.chat({ ...request, tool_choice: 'none' });
    expect(none.choices[0]!.message.tool_calls).toBeUndefined();
    expect(ollama.sent()).not.toHaveProperty('tools');
  });

  it('makes ids for the calls of an Ollama that has none', async () => {
    const line = (value: object) =>
      `${JSON.stringify({ model: 'm', created_at: '', done: false, ...value })}\n`;
    const call = { function: { name: 'f', arguments: { a: 1 } } };
    const text =
      line({ message: { role: 'assistant', content: '', tool_calls: [call] } }) +
      line({ message: { role: 'assistant', content: '', tool_calls: [call] } }) +
      line({ message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' });
    await start({ fail: () => ({ kind: 'bytes', after: 0, bytes: new TextEncoder().encode(text) }) });
    const calls = (await ollama.chat()).choices[0]!.message.tool_calls!;
    expect(calls).toHaveLength(2);
    expect(calls[0]!.id).toMatch(/^call_/);
    expect(calls[0]!.id).not.toBe(calls[1]!.id);
  });

  it('looks at a picture', async () => {
    await start();
    const content = [
      { type: 'text', text: 'what is it' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AQIDBA==' } },
      { type: 'text', text: 'here' },
    ];
    const answer = await ollama.chat({ messages: [{ role: 'user', content }] }, 'llava:7b');
    expect(answer.choices[0]!.message.content).toBe('I see 1 picture of 4 bytes.');
    expect(ollama.sent().messages).toEqual([
      { role: 'user', content: 'what is it\nhere', images: ['AQIDBA=='] },
    ]);
    await expect(ollama.chat({ messages: [{ role: 'user', content }] })).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'messages.0',
      message: expect.stringContaining('llama3.2 reads no pictures'),
    });
  });

  it('thinks aloud in `reasoning`, beside the text', async () => {
    await start();
    const whole = await ollama.chat({ reasoning_effort: 'high' }, 'qwen3');
    const message = whole.choices[0]!.message as OpenAI.ChatCompletionMessage & { reasoning: string };
    expect(message.reasoning).toBe('I was asked about "sing of the sea".');
    expect(ollama.sent().think).toBe('high');
    const chunks = await ollama.stream({}, 'qwen3');
    const deltas = chunks.map(({ choices }) => choices[0]!.delta as { reasoning?: string; content?: string });
    expect(deltas.map(({ reasoning }) => reasoning ?? '').join('')).toBe(message.reasoning);
    expect(textOf(chunks)).toBe(message.content);
    const without = await ollama.chat({ reasoning_effort: 'none' }, 'qwen3');
    expect(without.choices[0]!.message).not.toHaveProperty('reasoning');
    await ollama.chat({ messages: [{ role: 'assistant', reasoning: 'hm', content: 'a' }] }, 'qwen3');
    expect(ollama.sent().messages).toEqual([{ role: 'assistant', content: 'a', thinking: 'hm' }]);
  });

  it('fills a JSON schema', async () => {
    await start();
    const schema = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] };
    const filled = await ollama.chat({
      response_format: { type: 'json_schema', json_schema: { name: 'a', strict: true, schema } },
    });
    expect(JSON.parse(filled.choices[0]!.message.content!)).toEqual({ age: 7 });
    const json = await ollama.chat({ response_format: { type: 'json_object' } });
    expect(JSON.parse(json.choices[0]!.message.content!)).toEqual({ answer: 'sea' });
    await ollama.chat({ response_format: { type: 'text' } });
    expect(ollama.sent()).not.toHaveProperty('format');
  });

  it('tells log probabilities of every token of the text', async () => {
    await start();
    const whole = await ollama.chat({ logprobs: true, top_logprobs: 2 });
    const { content } = whole.choices[0]!.logprobs!;
    expect(content!.map(({ token }) => token).join('')).toBe(whole.choices[0]!.message.content);
    expect(content![0]).toMatchObject({ logprob: -0.1, bytes: expect.any(Array) });
    expect(content![0]!.top_logprobs).toHaveLength(2);
    const chunks = await ollama.stream({ logprobs: true, top_logprobs: 2 });
    expect(chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? [])).toEqual(content);
    const thought = await ollama.chat({ logprobs: true }, 'qwen3');
    const tokens = thought.choices[0]!.logprobs!.content!;
    expect(tokens.map(({ token }) => token).join('')).toBe(thought.choices[0]!.message.content);
  });

  it('says that an Ollama before 0.12.11 has no log probabilities', async () => {
    await start({ withoutLogprobs: true });
    const refused = { status: 400, param: 'logprobs', message: expect.stringContaining('0.12.11') };
    await expect(ollama.chat({ logprobs: true })).rejects.toMatchObject(refused);
    await expect(ollama.stream({ logprobs: true })).rejects.toMatchObject(refused);
    await until(() => ollama.fake.running === 0);
  });
});

describe('n choices', () => {
  it.each([1, 4])('come side by side with their own seeds, %i at a time in Ollama', async (parallel) => {
    await start({ parallel });
    const one = async (seed: number) =>
      (await ollama.chat({ seed, temperature: 1 })).choices[0]!.message.content;
    const texts = [await one(5), await one(6), await one(7)];
    const whole = await ollama.chat({ seed: 5, temperature: 1, n: 3 });
    expect(whole.choices.map(({ index, message }) => [index, message.content])).toEqual(
      texts.map((text, index) => [index, text]),
    );
    expect(whole.usage).toMatchObject({ prompt_tokens: 5 });
    const words = texts.reduce((sum, text) => sum + text!.split(' ').length, 0);
    expect(whole.usage!.completion_tokens).toBe(words);

    const chunks = await ollama.stream({
      seed: 5,
      temperature: 1,
      n: 3,
      stream_options: { include_usage: true },
    });
    expect([0, 1, 2].map((index) => textOf(chunks, index))).toEqual(texts);
    const finished = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.finish_reason));
    expect(finished.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    expect(chunks.at(-1)!.usage).toEqual(whole.usage);
  });

  it('all end when the client hangs up', async () => {
    await start({ fail: () => ({ kind: 'stall', after: 2 }) });
    const stream = await ollama.api.client.chat.completions.create({
      model: 'llama3.2',
      messages: [{ role: 'user', content: 'a' }],
      n: 3,
      stream: true,
    });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    await until(() => ollama.fake.running === 3);
    stream.controller.abort();
    await until(() => ollama.fake.running === 0 && ollama.reports.length === 1);
    expect(ollama.fake.hangUps).toBe(3);
    expect(ollama.reports[0]).toMatchObject({ outcome: 'aborted' });
  });

  it('fail together', async () => {
    let calls = 0;
    await start({
      fail: () => (++calls === 2 ? { kind: 'line', after: 1, error: 'out of memory' } : undefined),
    });
    await expect(ollama.chat({ n: 2, seed: 1 })).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining('out of memory'),
    });
    await until(() => ollama.fake.running === 0);
  });
});

describe('a completion', () => {
  it('goes on from the raw prompt, as text', async () => {
    await start();
    const whole = await ollama.complete({ max_tokens: 100 });
    expect(whole).toMatchObject({
      object: 'text_completion',
      model: 'llama3.2',
      usage: { prompt_tokens: 4 },
    });
    expect(whole.choices[0]).toMatchObject({ index: 0, finish_reason: 'stop', logprobs: null });
    expect(ollama.sent()).toMatchObject({
      prompt: 'Once upon a tide',
      raw: true,
      think: false,
      stream: true,
    });
    let text = '';
    const chunks: OpenAI.Completion[] = [];
    const stream = await ollama.api.client.completions.create({
      model: 'llama3.2',
      prompt: 'Once upon a tide',
      temperature: 0,
      max_tokens: 100,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      chunks.push(chunk);
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(whole.choices[0]!.text);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
  });

  it('has sixteen tokens at most unless it is asked for more', async () => {
    await start();
    await ollama.complete();
    expect(ollama.sent().options).toEqual({ num_predict: 16, temperature: 0 });
  });

  it('fills the middle with the model’s own template', async () => {
    await start();
    const filled = await ollama.complete({ suffix: '}' }, 'codellama:code');
    expect(ollama.sent()).toMatchObject({ raw: false, suffix: '}' });
    expect(filled.choices[0]!.text).not.toBe('');
    await expect(ollama.complete({ suffix: '}' })).rejects.toMatchObject({ status: 400, param: 'suffix' });
  });

  it('answers several prompts, n times each', async () => {
    await start();
    const alone = async (prompt: string) => (await ollama.complete({ prompt })).choices[0]!.text;
    const texts = [await alone('one fish'), await alone('two big fish')];
    const both = await ollama.complete({ prompt: ['one fish', 'two big fish'], n: 2 });
    expect(both.choices.map(({ text }) => text)).toEqual([texts[0], texts[0], texts[1], texts[1]]);
    expect(both.usage!.prompt_tokens).toBe(5);
  });

  it('has log probabilities in OpenAI’s older form', async () => {
    await start();
    const { choices } = await ollama.complete({ logprobs: 2, max_tokens: 4 });
    const { text, logprobs } = choices[0]!;
    expect(logprobs!.tokens!.join('')).toBe(text);
    expect(logprobs!.text_offset).toEqual(
      logprobs!.tokens!.map((_, at) => logprobs!.tokens!.slice(0, at).join('').length),
    );
    expect(Object.keys(logprobs!.top_logprobs![0]!)).toHaveLength(2);
    expect(logprobs!.top_logprobs![0]![logprobs!.tokens![0]!]).toBe(logprobs!.token_logprobs![0]);
    const picked = await ollama.complete({ logprobs: 0, max_tokens: 1 });
    expect(Object.keys(picked.choices[0]!.logprobs!.top_logprobs![0]!)).toHaveLength(1);
  });
});
