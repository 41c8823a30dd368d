import { describe, expect, it } from 'vitest';
import { loadChatTemplate } from '../../../src/model/text/chat-template.ts';
import { specialTokensFrom } from '../../../src/model/text/chat-template-source.ts';
import { strftime } from '../../../src/model/text/strftime.ts';

const user = { role: 'user', content: 'Hi' };
const rendered = (source: string, messages: { role: string; content: unknown }[] = [user], more = {}) =>
  loadChatTemplate({
    source,
    bosToken: '<s>',
    eosToken: '</s>',
    now: () => new Date(2024, 6, 4, 9, 5),
    ...more,
  }).render(messages);

describe('a chat template', () => {
  it('sees the messages, the special tokens and whether an answer follows', () => {
    const source =
      "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m.content | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    const template = loadChatTemplate({ source, bosToken: '<s>', eosToken: '</s>' });
    expect(template.render([user])).toBe('<s>[user] Hi</s>[assistant]');
    expect(template.render([user], { addGenerationPrompt: false })).toBe('<s>[user] Hi</s>');
  });

  it('sees the date given to it', () => {
    expect(rendered("{{ strftime_now('%d %b %Y') }}")).toBe('04 Jul 2024');
  });

  it('sees nothing else', () => {
    for (const name of ['process', 'globalThis', 'constructor', 'require', 'fetch', 'this']) {
      expect(rendered(`{{ '${'yes'}' if ${name} is defined else 'no' }}`), name).toBe('no');
    }
    expect(rendered("{{ 'yes' if messages.constructor is defined else 'no' }}")).toBe('no');
    expect(rendered("{{ 'yes' if messages[0].__proto__ is defined else 'no' }}")).toBe('no');
  });

  it('is the same with the line ends of Windows and of old Macs', () => {
    const source =
      "{{ bos_token -}}\n{% for m in messages %}\n{{ '<|user|>' + m['content'] + '<|end|>' -}}\n{% endfor %}\n{% if add_generation_prompt %}\n{{ '<|assistant|>\n' -}}\n{% endif %}\n";
    const text = '<s><|user|>Hi<|end|><|assistant|>\n';
    for (const end of ['\n', '\r\n', '\r']) expect(rendered(source.replaceAll('\n', end))).toBe(text);
  });

  it('sees no tools and no documents as none', () => {
    expect(rendered('{{ tools is none }} {{ documents is none }} {{ functions is defined }}')).toBe(
      'True True False',
    );
  });

  it.each([
    ["{{ 'abc'.rstrip('c') }}", 'ab'],
    ["{{ '  hi  '.rstrip('\\n') }}", '  hi  '],
    ["{{ ' \\nhi\\n '.strip('\\n') }}", ' \nhi\n '],
    ["{{ 'hi \\n'.rstrip('\\n') }}|", 'hi |'],
    ["{{ messages | selectattr('role', 'in', ['user']) | map(attribute='content') | first }}", 'Hi'],
    ["{{ messages | selectattr('role', '==', 'user') | list | length }}", '1'],
    [
      "{{ 'ab' | first }}{{ 'ab' | list }}{{ 'xax' | trim('x') }}{{ ['a'] | map('upper') | join }}",
      "a['a', 'b']aA",
    ],
    [
      "{% raw %}{{ x }}{% endraw %}{%+ if true %}{% with a = '=' * 5 %}{{ a }}{% endwith %}{% endif %}",
      '{{ x }}=====',
    ],
    ["{{ 'a\\nb'.splitlines() }}{{ 'abc'.find('c') }}", "['a', 'b']2"],
  ])('%s', (source, text) => {
    expect(rendered(source)).toBe(text);
  });

  it('sees what a client adds, but not in place of the conversation or of a special token', () => {
    const template = loadChatTemplate({
      source: "{{ messages[0].content }}{{ ' thinks' if enable_thinking }}{{ pad_token }}{{ eos_token }}",
      eosToken: '</s>',
      specialTokens: { pad_token: '<pad>' },
    });
    expect(template.render([user])).toBe('Hi<pad></s>');
    const variables = { enable_thinking: true, messages: [], eos_token: '<b>', pad_token: 1 };
    expect(template.render([user], { variables })).toBe('Hi thinks<pad></s>');
  });

  it('sees the special tokens that the tokenizer’s config names, in either form', () => {
    const config = {
      pad_token: '<pad>',
      unk_token: { content: '<unk>' },
      mask_token: null,
      sep_token: 3,
      eos_token: '</s>',
    };
    expect(specialTokensFrom(config)).toEqual({ pad_token: '<pad>', unk_token: '<unk>' });
    expect(specialTokensFrom(undefined)).toEqual({});
  });

  it('sees a message without what is none in it, and reasoning under both its names', () => {
    const source = '{% for m in messages %}{{ m }}{% endfor %}';
    expect(rendered(source, [{ role: 'assistant', content: null, ...{ reasoning: 'So.' } }])).toBe(
      "{'thinking': 'So.', 'role': 'assistant', 'reasoning': 'So.', 'reasoning_content': 'So.'}",
    );
  });

  it('may refuse a conversation, in its own words', () => {
    const source =
      "{% if messages[0].role != 'user' %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}ok";
    expect(rendered(source)).toBe('ok');
    expect(() => rendered(source, [{ role: 'tool', content: '' }])).toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        message: expect.stringMatching(/refuses these messages: Conversation roles must alternate/),
      }),
    );
  });

  it('that fails on a conversation says so', () => {
    expect(() => rendered('{{ messages[0].content + 1 + {} }}', [{ role: 'user', content: [] }])).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });

  it('that cannot be read is the model’s fault', () => {
    expect(() => loadChatTemplate({ source: '{% for %}' })).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_INVALID' }),
    );
    expect(() => loadChatTemplate({ source: 'x'.repeat(300_000) })).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_INVALID',
        message: expect.stringMatching(/300000 characters, at most 262144/),
      }),
    );
  });

  it('that is missing is told with the way out', () => {
    expect(() => loadChatTemplate({ source: undefined })).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_MISSING',
        message: expect.stringMatching(/\/v1\/completions.*--raw/),
      }),
    );
  });

  it('has a range like Python’s, and a bound on it', () => {
    const list = (call: string) => rendered(`{% for i in ${call} %}{{ i }} {% endfor %}`).trim();
    expect([list('range(4)'), list('range(2, 5)'), list('range(6, 0, -2)'), list('range(3, 1)')]).toEqual([
      '0 1 2 3',
      '2 3 4',
      '6 4 2',
      '',
    ]);
    for (const call of ['range(1000000000)', 'range(0, 5, 0)']) {
      expect(() => list(call), call).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    }
  });

  it('has a bound on what it renders', () => {
    const content = 'x'.repeat(1 << 20);
    expect(() =>
      rendered('{% for i in range(5) %}{{ messages[0].content }}{% endfor %}', [{ role: 'user', content }]),
    ).toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        message: expect.stringMatching(/5242880 characters, at most 4194304/),
      }),
    );
  });
});

describe('strftime', () => {
  it.each([
    ['%Y-%m-%d %H:%M:%S', '2024-07-04 09:05:03'],
    ['%A, %B %-d', 'Thursday, July 4'],
    ['%a %b %e %y %I %p', 'Thu Jul  4 24 09 AM'],
    ['100%% %Q %-H', '100% %Q 9'],
  ])('%s', (format, text) => {
    expect(strftime(new Date(2024, 6, 4, 9, 5, 3), format)).toBe(text);
  });
});
