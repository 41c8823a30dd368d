import { describe, expect, it } from 'vitest';
import { Lines } from '../../../src/backend/ollama/lines.ts';
import { translateChat, translateCompletion } from '../../../src/backend/ollama/requests.ts';

const user = { role: 'user', content: 'a' };
const chat = (extra: object = {}) => translateChat({ model: 'm', messages: [user], ...extra });
const chatBody = (extra: object = {}) => chat(extra).body('theirs', 0);
const messagesOf = (...messages: object[]) => chatBody({ messages }).messages;

describe('a chat request', () => {
  it('says to Ollama what it was told, and no more', () => {
    expect(chatBody()).toEqual({ model: 'theirs', messages: [user], truncate: false, options: {} });
  });

  it('maps every sampling parameter', () => {
    const { options } = chatBody({
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: 0.2,
      frequency_penalty: 0.3,
      stop: 'x',
      seed: 5,
      num_ctx: 512,
    });
    expect(options).toEqual({
      num_predict: 9,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 0,
      min_p: 0.1,
      repeat_penalty: 1.1,
      presence_penalty: 0.2,
      frequency_penalty: 0.3,
      stop: ['x'],
      seed: 5,
      num_ctx: 512,
    });
  });

  it('takes Ollama’s own options; OpenAI’s names come first', () => {
    const given = {
      options: { temperature: 0.1, repeat_last_n: 64, num_predict: 5, seed: 3 },
      temperature: 0.2,
    };
    expect(chatBody({ ...given, max_completion_tokens: 7, max_tokens: 6 }).options).toEqual({
      temperature: 0.2,
      repeat_last_n: 64,
      num_predict: 7,
      seed: 3,
    });
    expect(chatBody({ keep_alive: '1h30m' }).keep_alive).toBe('1h30m');
    expect(chatBody({ keep_alive: -1 }).keep_alive).toBe(-1);
  });

  it('gives every choice a seed of its own that is never negative', () => {
    const seeds = (seed: number) =>
      [0, 1].map((choice) => chat({ seed, n: 2 }).body('m', choice).options.seed);
    expect(seeds(5)).toEqual([5, 6]);
    expect(seeds(-2)).toEqual([2 ** 31 - 2, 2 ** 31 - 1]);
    // To Ollama, as to others, another one each time.
    expect(seeds(-1)).toEqual([undefined, undefined]);
    expect(chat({ n: 2 }).body('m', 1).options).toEqual({});
  });

  it.each([
    [{ reasoning_effort: 'none' }, false],
    [{ reasoning_effort: 'minimal' }, 'low'],
    [{ reasoning_effort: 'xhigh' }, 'max'],
    [{ reasoning: { effort: 'medium' } }, 'medium'],
    [{ think: true, reasoning_effort: 'low' }, true],
    [{ think: false }, false],
    [{}, undefined],
  ])('%o thinks %s', (extra, think) => {
    expect(chatBody(extra).think).toBe(think);
  });

  it('names the tool whose call a message answers', () => {
    const call = (id: string, name: string) => ({
      id,
      type: 'function',
      function: { name, arguments: '{"a":1}' },
    });
    expect(
      messagesOf(
        { role: 'developer', content: 'be brief' },
        user,
        { role: 'assistant', content: null, tool_calls: [call('1', 'f'), call('2', 'g')] },
        {
          role: 'tool',
          tool_call_id: '2',
          content: [
            { type: 'text', text: 'x' },
            { type: 'text', text: 'y' },
          ],
        },
        { role: 'tool', tool_call_id: '9', content: 'z' },
        { role: 'assistant', content: 'done', reasoning_content: 'so' },
      ),
    ).toEqual([
      { role: 'system', content: 'be brief' },
      user,
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: '1', function: { name: 'f', arguments: { a: 1 } } },
          { id: '2', function: { name: 'g', arguments: { a: 1 } } },
        ],
      },
      { role: 'tool', content: 'x\ny', tool_call_id: '2', tool_name: 'g' },
      { role: 'tool', content: 'z', tool_call_id: '9' },
      { role: 'assistant', content: 'done', thinking: 'so' },
    ]);
  });

  it('gives a tool without parameters those that templates expect', () => {
    const tools = [{ type: 'function', function: { name: 'f', strict: false } }];
    expect(chatBody({ tools }).tools).toEqual([
      { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  it('takes bookkeeping and what asks for nothing', () => {
    const nothing = {
      user: 'u',
      metadata: {},
      store: false,
      logit_bias: {},
      parallel_tool_calls: true,
      modalities: ['text'],
      ignore_eos: false,
      tool_choice: 'auto',
      stop: null,
      seed: null,
      top_logprobs: 0,
    };
    expect(chatBody(nothing)).toEqual(chatBody());
  });
});

const image = (url: string, extra: object = {}) => ({
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url, ...extra } }] }],
});
const PNG = 'data:image/png;base64,AQIDBA==';
const tool = (extra: object) => ({ tools: [{ type: 'function', function: { name: 'f', ...extra } }] });

describe('what Ollama cannot do is refused by name', () => {
  it.each<[object, string]>([
    [{ logit_bias: { 1: 2 } }, 'logit_bias'],
    [{ ignore_eos: true }, 'ignore_eos'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, 'tool_choice'],
    [{ parallel_tool_calls: false, ...tool({}) }, 'parallel_tool_calls'],
    [{ options: { mirostat: 1 } }, 'options.mirostat'],
    [
      { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } },
      'stream_options.continuous_usage_stats',
    ],
    [tool({ strict: true }), 'tools.0.function.strict'],
    [{ functions: [{ name: 'f' }] }, 'functions'],
    [{ prediction: { type: 'content', content: 'a' } }, 'prediction'],
    [{ audio: {} }, 'audio'],
    [{ options: { num_gpu: 0 } }, 'options.num_gpu'],
    [image('https://example.com/a.png'), 'messages.0.content.0.image_url.url'],
    [image(PNG, { detail: 'low' }), 'messages.0.content.0.image_url.detail'],
    [
      { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] },
      'messages.0.content.0',
    ],
    [
      { messages: [{ role: 'system', content: [{ type: 'image_url', image_url: { url: PNG } }] }] },
      'messages.0.content.0',
    ],
    [{ messages: [{ role: 'function', name: 'f', content: 'a' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'assistant', content: 'a', audio: { id: 'x' } }] }, 'messages.0.audio'],
  ])('%o', (extra, param) => {
    expect(() => chat(extra)).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_PARAMETER',
        param,
        message: expect.stringContaining(param),
      }),
    );
  });

  it.each<[object, string]>([
    [{ best_of: 2 }, 'best_of'],
    [{ echo: true }, 'echo'],
    [{ prompt: '' }, 'prompt'],
    [{ prompt: ['a', ''] }, 'prompt'],
    [{ prompt: [1, 2] }, 'prompt'],
    [{ prompt: [[1, 2]] }, 'prompt'],
  ])('of a completion: %o', (extra, param) => {
    expect(() => translateCompletion({ model: 'm', prompt: 'a', ...extra })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_PARAMETER', param }),
    );
  });
});

describe('what is wrong is named', () => {
  it.each<[object, string]>([
    [{ temperature: 3 }, 'temperature'],
    [{ n: 9 }, 'n'],
    [{ top_logprobs: 2 }, 'top_logprobs'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    [{ options: { temperature: 'hot' } }, 'options.temperature'],
    [{ keep_alive: 'soon' }, 'keep_alive'],
    [{ num_ctx: 2 ** 30 }, 'num_ctx'],
    [{ reasoning_effort: 'huge' }, 'reasoning_effort'],
    [{ stream_options: 'usage' }, 'stream_options'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    [image('data:image/gif;base64,AQIDBA=='), 'messages.0.content.0.image_url.url'],
    [image('data:image/png;base64,AQID!'), 'messages.0.content.0.image_url.url'],
    [image('data:image/png;base64,'), 'messages.0.content.0.image_url.url'],
    [{ messages: [] }, 'messages'],
    [
      {
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '[' } }],
          },
        ],
      },
      'messages.0.tool_calls.0.function.arguments',
    ],
  ])('%o', (extra, param) => {
    expect(() => chat(extra)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST', param }));
  });

  it('a bound on all choices of all prompts', () => {
    const many = { model: 'm', prompt: ['a', 'b', 'c'], n: 3 };
    expect(() => translateCompletion(many)).toThrow(/3 prompts with n = 3 are 9 choices.*at most 8/);
  });
});

describe('lines', () => {
  it('come whole from chunks that end anywhere', () => {
    const text = '{"a":"鰊🐟"}\n\r\n{"b":1}\r\n{"c":2}';
    const bytes = new TextEncoder().encode(text);
    for (let size = 1; size <= bytes.length; size++) {
      const lines = new Lines(100);
      const got: string[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...lines.push(bytes.subarray(at, at + size)));
      expect([...got, lines.end()]).toEqual(['{"a":"鰊🐟"}', '{"b":1}', '{"c":2}']);
    }
  });

  it('are bounded each, not together', () => {
    const lines = new Lines(4);
    const bytes = (text: string) => new TextEncoder().encode(text);
    expect([...lines.push(bytes('1234\n1234\n12'))]).toEqual(['1234', '1234']);
    expect(() => [...lines.push(bytes('345'))]).toThrow(RangeError);
  });
});
