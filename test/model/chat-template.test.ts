import { describe, expect, it } from 'vitest';
import { loadChatTemplate } from '../../src/model/chat-template.ts';
import { strftime } from '../../src/model/strftime.ts';

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
    expect(rendered('{{ tools is none }} {{ documents is none }} {{ functions is defined }}')).toMatch(
      /^true true false$/i,
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
