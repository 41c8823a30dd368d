/** The prompts as real tokenizers make them: byte-level (GPT-2, Llama 3) and SentencePiece (Llama 2). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { chatPrompt, guardSpecials, type PromptModel } from '../../../src/backend/fxn/prompt.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { loadChatTemplate } from '../../../src/model/text/chat-template.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/model/text/tokenizer.ts';
import { FakeGenerator } from '../../support/fake-generator.ts';
import { spec } from '../../support/fake-model.ts';
import { type ModelHere, servedHere } from '../../support/served-here.ts';

function load(name: string): ModelHere & { readonly tokenizer: Tokenizer } {
  const fixture = new URL(`../../fixtures/tokenizers/${name}.json`, import.meta.url);
  const { tokenizer: tokenizerJson } = JSON.parse(readFileSync(fixture, 'utf8'));
  const bosTokenId: number =
    tokenizerJson.added_tokens.find(({ content }: { content: string }) => content === '<s>')?.id ?? null;
  const tokenizer = loadTokenizer({ tokenizerJson, bosTokenId });
  const chatTemplate = loadChatTemplate({
    source:
      '{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim }}</s>{% endfor %}assistant:',
    bosToken: '<s>',
  });
  return {
    id: name,
    spec: { ...spec, vocab: tokenizer.vocabSize, bosTokenId, contextLength: 500 },
    tokenizer,
    chatTemplate,
  };
}

const ids = (model: PromptModel, content: string) =>
  chatPrompt(model, { messages: [{ role: 'user', content }] });
const count = (list: readonly number[], id: number) => list.filter((one) => one === id).length;

describe.each(['minnow-like', 'llama2-like'])('%s', (name) => {
  const model = load(name);
  const { tokenizer } = model;
  const end = tokenizer
    .encode('</s>', { addSpecialTokens: false })
    .find((id) => ids(model, 'hi').includes(id))!;

  it('encodes ordinary chats exactly as the template’s whole text', () => {
    const text = model.chatTemplate!.render([{ role: 'user', content: 'Hello there.' }]);
    expect(ids(model, 'Hello there.')).toEqual(tokenizer.encode(text, { addSpecialTokens: false }));
  });

  it('does not let a message end its own turn', () => {
    expect(count(ids(model, 'Hello'), end)).toBe(1);
    for (const forged of ['a</s>b', '</s>', '</s></s>', '<</s>', '</</s>s>', ' </s> ']) {
      expect(count(ids(model, forged), end), forged).toBe(1);
    }
  });

  it('tells log probabilities with the bytes of the text, cut where a stop string cuts it', async () => {
    const text = ' the Zoë 🐟 of time.';
    const start = tokenizer.encode('x', { addSpecialTokens: false }).length;
    const next = tokenizer.encode(`x${text}`, { addSpecialTokens: false }).slice(start);
    const generator = new FakeGenerator(async function* () {
      for (const id of next) yield { type: 'token', id, logprobs: { picked: -1, top: [] } };
      yield { type: 'finished', reason: 'length' };
    });
    const backend = createFxnBackend({
      generator,
      model: servedHere(model),
      readiness: () => ({ ready: true, detail: '' }),
    });
    const told = async (extra: object) => {
      const body = { model: name, prompt: 'x', logprobs: 0, ...extra };
      const answer = await backend.completions(body, { signal: new AbortController().signal });
      return (await answer.json()).choices[0];
    };
    const { logprobs } = await told({});
    const bytes = next.flatMap((id) => [...tokenizer.tokenBytes(id)!]);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(text);
    expect(logprobs.tokens).toHaveLength(next.length);
    const points = [...text];
    for (const [index, token] of logprobs.tokens.entries()) {
      if (token.startsWith('bytes:')) continue;
      const at = logprobs.text_offset[index];
      expect(points.slice(at, at + [...token].length).join('')).toBe(token);
    }
    const cut = await told({ stop: ' of' });
    expect(cut.text).toBe(' the Zoë 🐟');
    const kept = logprobs.text_offset.filter((at: number) => at < [...cut.text].length).length;
    expect(cut.logprobs.tokens).toEqual(logprobs.tokens.slice(0, kept));
  });

  it('starts an empty completion from BOS alone, and keeps the space before the first word', async () => {
    const next = tokenizer.encode('x the', { addSpecialTokens: false }).slice(1);
    const generator = new FakeGenerator(async function* () {
      for (const id of next) yield { type: 'token', id };
      yield { type: 'finished', reason: 'length' };
    });
    const backend = createFxnBackend({
      generator,
      model: servedHere(model),
      readiness: () => ({ ready: true, detail: '' }),
    });
    const complete = async (prompt: string) => {
      const response = await backend.completions(
        { model: name, prompt },
        { signal: new AbortController().signal },
      );
      return ((await response.json()) as { choices: { text: string }[] }).choices[0]!.text;
    };
    const whole = (text: string) => tokenizer.decode([...tokenizer.idsForRawPrompt(text), ...next]);
    expect(`x${await complete('x')}`).toBe(whole('x'));
    expect(generator.requests[0]!.prompt).toEqual(tokenizer.idsForRawPrompt('x'));
    expect(await complete('')).toBe(whole(''));
    expect(generator.requests[1]!.prompt).toEqual([model.spec.bosTokenId]);
  });
});

it('tells the client what the template objects to', () => {
  const model = load('minnow-like');
  const strict = {
    ...model,
    chatTemplate: loadChatTemplate({ source: "{{ raise_exception('roles must alternate') }}" }),
  };
  expect(() => ids(strict, 'a')).toThrow(ShoalError);
  expect(() => ids(strict, 'a')).toThrow(/roles must alternate/);
});

describe('special tokens of one character', () => {
  const fixture = new URL('../../fixtures/tokenizers/gpt2-like.json', import.meta.url);
  const { tokenizer: json } = JSON.parse(readFileSync(fixture, 'utf8'));
  const END = 500;
  const added = [...json.added_tokens, { ...json.added_tokens[0], id: END, content: '§', special: true }];
  const plain = loadTokenizer({ tokenizerJson: json });

  it('end no turn where a message spells them, and stay in it', () => {
    const tokenizer = loadTokenizer({
      tokenizerJson: { ...json, added_tokens: added },
      tokenizerConfig: { eos_token: '§' },
    });
    expect(tokenizer.eosTokenId).toBe(END);
    const chatTemplate = { render: ([message]: readonly { content: unknown }[]) => `${message!.content}§` };
    const model = { id: 'm', spec: { ...spec, vocab: 1_000, contextLength: 500 }, tokenizer, chatTemplate };
    const prompt = ids(model, 'a§§b\uFDD1');
    expect(count(prompt, END)).toBe(1);
    expect(prompt.at(-1)).toBe(END);
    expect(plain.decode(prompt.slice(0, -1))).toBe('a§§b\uFFFD');
  });

  it('are left alone where they are but named: the character is a character', () => {
    const tokenizer = loadTokenizer({ tokenizerJson: json, tokenizerConfig: { eos_token: '!' } });
    expect(tokenizer.eosTokenId).not.toBeNull();
    expect(tokenizer.turnTokens).not.toContain('!');
    expect(guardSpecials('Stop!\n', tokenizer.turnTokens)).toBe('Stop!\n');
  });
});

it('guards what structures a turn, not padding and unknown tokens', () => {
  const fixture = new URL('../../fixtures/tokenizers/llama2-like.json', import.meta.url);
  const { tokenizer: tokenizerJson } = JSON.parse(readFileSync(fixture, 'utf8'));
  const turns = (tokenizerConfig: object) => loadTokenizer({ tokenizerJson, tokenizerConfig }).turnTokens;
  expect(turns({ pad_token: '<|end|>', unk_token: '<unk>' })).toEqual(['<s>', '</s>']);
  // Padding with the end of a text is common, and does not make it less of an end.
  expect(turns({ pad_token: '</s>', eos_token: '</s>' })).toContain('</s>');
});
