/** The stand-in for Ollama, driven by Ollama's own client: what the client reads is what the backend is tested against. */
import { Ollama } from 'ollama';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeOllama, type FakeOllamaOptions, startFakeOllama } from '../../support/fake-ollama.ts';
import { until } from '../../support/until.ts';

let fake: FakeOllama;
afterEach(() => fake.close());

async function start(options: FakeOllamaOptions = {}): Promise<Ollama> {
  fake = await startFakeOllama(options);
  return new Ollama({ host: fake.url });
}

const user = (content: string) => [{ role: 'user', content }];
const greedy = { temperature: 0 };

describe('the client of Ollama accepts the fake', () => {
  it('list, show, version, ps', async () => {
    const ollama = await start({ version: '0.99.0' });
    const { models } = await ollama.list();
    expect(models.map(({ name }) => name)).toContain('llama3.2:latest');
    expect(models[0]!.details.quantization_level).toBe('Q4_K_M');
    expect((await ollama.show({ model: 'llava:7b' })).capabilities).toContain('vision');
    expect(await ollama.version()).toEqual({ version: '0.99.0' });
    expect((await ollama.ps()).models).toEqual([]);
  });

  it('chat, whole and as a stream: the same text, counted and timed', async () => {
    const ollama = await start();
    const request = { model: 'llama3.2', messages: user('sing'), options: greedy };
    const whole = await ollama.chat(request);
    expect(whole).toMatchObject({ model: 'llama3.2', done: true, done_reason: 'stop', prompt_eval_count: 2 });
    expect(whole.eval_duration).toBe(whole.eval_count * 5_000_000);
    const parts = [];
    for await (const part of await ollama.chat({ ...request, stream: true })) parts.push(part);
    expect(parts.length).toBe(whole.eval_count + 1);
    expect(parts.map(({ message }) => message.content).join('')).toBe(whole.message.content);
    expect(parts.at(-1)).toMatchObject({ done: true, done_reason: 'stop', eval_count: whole.eval_count });
  });

  it('honours num_predict, stop and seed', async () => {
    const ollama = await start();
    const say = async (options: object) =>
      (await ollama.generate({ model: 'tiny:1b', prompt: 'sing', raw: true, options })).response ?? '';
    const text = await say(greedy);
    const short = await ollama.generate({
      model: 'tiny:1b',
      prompt: 'sing',
      options: { ...greedy, num_predict: 3 },
    });
    expect(short).toMatchObject({ done_reason: 'length', eval_count: 3 });
    const stop = text.split(' ')[3]!;
    expect(await say({ ...greedy, stop: [stop] })).toBe(text.slice(0, text.indexOf(stop)));
    expect(await say({ seed: 1 })).toBe(await say({ seed: 1 }));
    expect(await say({ seed: 1 })).not.toBe(await say({ seed: 2 }));
  });

  it('calls tools, and answers with their result', async () => {
    const ollama = await start();
    const tools = [
      {
        type: 'function',
        function: {
          name: 'get_tide',
          description: 'the tide',
          parameters: { type: 'object', required: ['port'], properties: { port: { type: 'string' } } },
        },
      },
    ];
    const messages = user('call get_tide');
    const { message } = await ollama.chat({ model: 'llama3.2', messages, tools });
    expect(message.tool_calls).toMatchObject([
      { function: { name: 'get_tide', arguments: { port: 'port of the sea' } } },
    ]);
    const result = { role: 'tool', tool_name: 'get_tide', content: 'low' };
    const answer = await ollama.chat({ model: 'llama3.2', messages: [...messages, message, result], tools });
    expect(answer.message.content).toBe('get_tide said low');
  });

  it('sees pictures, fills a format, thinks, and gives log probabilities', async () => {
    const ollama = await start();
    const seen = await ollama.chat({
      model: 'llava:7b',
      messages: [{ role: 'user', content: 'what is it', images: [new Uint8Array([1, 2, 3, 4])] }],
    });
    expect(seen.message.content).toBe('I see 1 picture of 4 bytes.');
    const format = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } } };
    const filled = await ollama.chat({ model: 'llama3.2', messages: user('who'), format });
    expect(JSON.parse(filled.message.content)).toEqual({ name: 'name of the sea', age: 7 });
    const thought = await ollama.chat({ model: 'qwen3', messages: user('why'), think: true });
    expect(thought.message.thinking).toBe('I was asked about "why".');
    const sure = await ollama.chat({
      model: 'llama3.2',
      messages: user('a'),
      logprobs: true,
      top_logprobs: 2,
    });
    expect(sure.logprobs).toHaveLength(sure.eval_count);
    expect(sure.logprobs![0]!.top_logprobs).toHaveLength(2);
  });

  it('ends what is aborted', async () => {
    const ollama = await start({ fail: () => ({ kind: 'stall', after: 2 }) });
    const stream = await ollama.chat({ model: 'llama3.2', messages: user('sing'), stream: true });
    let parts = 0;
    const read = (async () => {
      for await (const _ of stream) if (++parts === 2) stream.abort();
    })();
    await expect(read).rejects.toThrow(/abort/i);
    await until(() => fake.hangUps === 1 && fake.running === 0);
  });

  it('refuses as Ollama does', async () => {
    const ollama = await start();
    const chat = (extra: object) => ollama.chat({ model: 'tiny:1b', messages: user('a'), ...extra });
    await expect(chat({ model: 'nope' })).rejects.toMatchObject({
      message: "model 'nope' not found",
      status_code: 404,
    });
    await expect(chat({ think: true })).rejects.toThrow('"tiny:1b" does not support thinking');
    await expect(chat({ tools: [{ type: 'function', function: { name: 'f' } }] })).rejects.toThrow(
      'does not support tools',
    );
    await expect(chat({ top_logprobs: 21 })).rejects.toThrow('top_logprobs must be between 0 and 20');
    await expect(chat({ options: { temperature: 'hot' } })).rejects.toThrow('must be of type float32');
    await expect(chat({ messages: [{ role: 'user', content: ['a'] }] })).rejects.toThrow(
      'json: cannot unmarshal array into Go struct field Message.content of type string',
    );
    await expect(chat({ messages: [{ role: 'user', content: 'a', images: ['data:x'] }] })).rejects.toThrow(
      'illegal base64 data at input byte 4',
    );
    await expect(chat({ keep_alive: 'soon' })).rejects.toThrow('time: invalid duration "soon"');
    await expect(ollama.generate({ model: 'tiny:1b', prompt: 'a', suffix: 'b' })).rejects.toThrow(
      'does not support insert',
    );
  });

  it('pulls what the registry has, and says what it has not', async () => {
    const ollama = await start({
      pullable: [{ name: 'new:latest', capabilities: ['completion'], contextLength: 64 }],
    });
    await expect(ollama.pull({ model: 'nope' })).rejects.toThrow('file does not exist');
    const states = [];
    for await (const { status } of await ollama.pull({ model: 'new', stream: true })) states.push(status);
    expect(states.at(-1)).toBe('success');
    expect((await ollama.chat({ model: 'new', messages: user('a') })).done).toBe(true);
  });

  it('asks for a key where it has one, and is busy with a full queue', async () => {
    const ollama = await start({
      bearer: 'k',
      parallel: 1,
      maxQueue: 0,
      fail: () => ({ kind: 'stall', after: 1 }),
    });
    await expect(ollama.list()).rejects.toThrow('unauthorized');
    const keyed = new Ollama({ host: fake.url, headers: { authorization: 'Bearer k' } });
    const request = { model: 'llama3.2', messages: user('a') };
    const stream = await keyed.chat({ ...request, stream: true });
    await expect(keyed.chat(request)).rejects.toMatchObject({ status_code: 503 });
    stream.abort();
  });
});
