import { describe, expect, it } from 'vitest';
import { parseChatRequest, parseCompletionRequest } from '../../../src/backend/openai/request-schema.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { MAX_SHOWN_PARAMETER_CHARS } from '../../../src/config/limits.ts';

const base = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };

function refusal(parse: () => unknown): ShoalError {
  try {
    parse();
  } catch (thrown) {
    if (thrown instanceof ShoalError) return thrown;
  }
  throw new Error('not refused with a ShoalError');
}

describe('what the engine cannot do is refused by name', () => {
  it.each([
    ['tools', [{ type: 'function', function: { name: 'f' } }]],
    ['tool_choice', 'required'],
    ['functions', [{ name: 'f' }]],
    ['response_format', { type: 'json_object' }],
    ['audio', { voice: 'alloy' }],
    ['modalities', ['text', 'audio']],
    ['prediction', { type: 'content', content: '' }],
    ['think', true],
    ['max_new_tokens', 20],
    ['web_search_options', {}],
    ['verbosity', 'low'],
  ])('chat: %s', (param, value) => {
    const error = refusal(() => parseChatRequest({ ...base, [param]: value }));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_PARAMETER', param });
    expect(error.message).toContain(param);
  });

  it.each([
    ['echo', true],
    ['suffix', 'end'],
    ['best_of', 2],
  ])('completions: %s = %j', (param, value) => {
    const error = refusal(() => parseCompletionRequest({ model: 'm', prompt: 'a', [param]: value }));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_PARAMETER', param });
  });

  it.each([
    [{ role: 'assistant', content: null, tool_calls: [{ id: '1' }] }, 'messages.0.tool_calls'],
    [{ role: 'assistant', content: '', function_call: { name: 'f' } }, 'messages.0.function_call'],
    [{ role: 'assistant', content: null, refusal: 'No.' }, 'messages.0.refusal'],
    [{ role: 'user', content: 'What is this?', images: ['aGk='] }, 'messages.0.images'],
    [{ role: 'function', name: 'f', content: '1' }, 'messages.0.role'],
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'x' } },
        ],
      },
      'messages.0.content.1',
    ],
    [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }, 'messages.0.content.0'],
  ])('message %j', (message, param) => {
    expect(refusal(() => parseChatRequest({ ...base, messages: [message] }))).toMatchObject({
      code: 'UNSUPPORTED_PARAMETER',
      param,
    });
  });
});

describe('malformed requests name the path and the bound', () => {
  it.each([
    [{ messages: [] }, 'messages', /1/],
    [{ messages: 'Hi' }, 'messages', /array/],
    [{ messages: undefined }, 'messages', /array/],
    [{ model: undefined }, 'model', /string/],
    [{ model: 7 }, 'model', /string/],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages.0.role', /user/],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content', /string/],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages.0.content', /string/],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages.0.content.0.text', /string/],
    [{ messages: [{ role: 'user', content: [] }] }, 'messages.0.content', /1/],
    [{ messages: ['Hi'] }, 'messages.0', /object/],
    [{ temperature: 2.1 }, 'temperature', /<=2/],
    [{ temperature: 'hot' }, 'temperature', /number/],
    [{ temperature: Number.NaN }, 'temperature', /number/],
    [{ top_p: -0.1 }, 'top_p', />=0/],
    [{ presence_penalty: 3 }, 'presence_penalty', /<=2/],
    [{ max_tokens: 0 }, 'max_tokens', />=1/],
    [{ max_tokens: 1.5 }, 'max_tokens', /int/],
    [{ seed: 1.5 }, 'seed', /int/],
    [{ max_tokens: -3 }, 'max_tokens', />=-2/],
    [{ stop: Array(17).fill('a') }, 'stop', /<=16/],
    [{ stop: 'x'.repeat(257) }, 'stop', /<=256/],
    [{ stop: 5 }, 'stop', /string.*array/],
    [{ n: 0 }, 'n', />=1/],
    [{ n: 9 }, 'n', /<=8/],
    [{ logprobs: 3 }, 'logprobs', /boolean/],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', /<=20/],
    [{ top_logprobs: 2 }, 'top_logprobs', /logprobs: true/],
    [{ logit_bias: [1] }, 'logit_bias', /record/],
    [{ logit_bias: { a: 1 } }, 'logit_bias.a', /token id/],
    [{ logit_bias: { '01': 1 } }, 'logit_bias.01', /token id/],
    [{ logit_bias: { 5: 101 } }, 'logit_bias.5', /<=100/],
    [
      { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) },
      'logit_bias',
      /1024/,
    ],
    [{ stream: 'yes' }, 'stream', /boolean/],
    [{ stream_options: 'usage' }, 'stream_options', /object/],
    [{ seed: 2 ** 65 }, 'seed', /<=18446744073709552000/],
    [{ seed: -(2 ** 64) }, 'seed', />=-9223372036854776000/],
  ])('%j', (change, param, bound) => {
    const error = refusal(() => parseChatRequest({ ...base, ...change }));
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', param });
    expect(error.message).toMatch(bound);
    expect(error.message.startsWith(param)).toBe(true);
  });

  it.each([
    [{ n: 9 }, 'n', /<=8/],
    [{ n: 3, prompt: ['a', 'b', 'c'] }, 'prompt', /9 choices.*at most 8/],
    [{ prompt: Array(9).fill('a') }, 'prompt', /9 choices/],
    [{ prompt: Array(9).fill([1]) }, 'prompt', /9 choices/],
    [{ prompt: [] }, 'prompt', /1/],
    [{ prompt: ['a', 1] }, 'prompt.1', /string/],
    [{ prompt: [[1], []] }, 'prompt.1', /1/],
    [{ prompt: [-1] }, 'prompt.0', />=0/],
    [{ logprobs: 6 }, 'logprobs', /<=5/],
    [{ logprobs: true }, 'logprobs', /number/],
  ])('completions: %j', (change, param, bound) => {
    const error = refusal(() => parseCompletionRequest({ model: 'm', prompt: 'a', ...change }));
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', param });
    expect(error.message).toMatch(bound);
  });

  it.each([null, [], 'text', 5, undefined])('a body that is %j', (body) => {
    expect(refusal(() => parseChatRequest(body)).message).toContain('JSON object');
  });
});

describe('what clients send back', () => {
  it('takes an earlier answer as OpenAI’s client returns it', () => {
    const earlier = {
      role: 'assistant',
      content: 'Hello',
      refusal: null,
      annotations: [],
      tool_calls: [],
      audio: null,
    };
    const { messages } = parseChatRequest({
      ...base,
      messages: [...base.messages, earlier, { role: 'tool', content: '4', tool_call_id: 'c' }],
    });
    expect(messages[1]).toEqual({ role: 'assistant', content: 'Hello' });
  });

  it('leaves out what clients keep beside the text', () => {
    const user = {
      role: 'user',
      content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }],
      id: 'm-1',
      timestamp: 1_700_000_000,
    };
    const assistant = {
      role: 'assistant',
      content: 'Hello',
      reasoning_content: 'A greeting.',
      annotations: [{ type: 'url_citation' }],
      refusal: '',
      images: [],
    };
    expect(parseChatRequest({ ...base, messages: [user, assistant, ...base.messages] }).messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'Hi' },
    ]);
  });

  it('takes stream options with a stream, and without one leaves them', () => {
    const stream_options = { include_usage: true, continuous_usage_stats: true };
    expect(parseChatRequest({ ...base, stream: true, stream_options }).stream_options).toEqual(
      stream_options,
    );
    expect(parseChatRequest({ ...base, stream_options }).stream_options).toBeUndefined();
  });

  it('knows stop as text and as a list', () => {
    expect(parseChatRequest({ ...base, stop: 'a' }).stop).toEqual(['a']);
    expect(parseChatRequest({ ...base, stop: ['a', 'b'] }).stop).toEqual(['a', 'b']);
    expect(parseChatRequest({ ...base, stop: null }).stop).toEqual([]);
    expect(parseChatRequest({ ...base, stop: '' }).stop).toEqual([]);
    expect(parseChatRequest({ ...base, stop: ['', 'a'] }).stop).toEqual(['a']);
  });
});

it('does not repeat a name that is a megabyte long', () => {
  const long = 'k'.repeat(1_000_000);
  const error = refusal(() => parseChatRequest({ ...base, chat_template_kwargs: { [long]: 1 } }));
  expect(error.param).toBe(`chat_template_kwargs.${long.slice(0, MAX_SHOWN_PARAMETER_CHARS)}`);
  expect(error.message.length).toBeLessThan(200);
});
