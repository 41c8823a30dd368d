/** Prompts of a served model are read in threads: with the same ids and errors, and never in the server's own. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { loadServedModel } from '../../../src/backend/fxn/load-served-model.ts';
import { chatPrompt, completionPrompt, type PromptModel } from '../../../src/backend/fxn/prompt.ts';
import type { ServedModel } from '../../../src/backend/fxn/served-model.ts';
import { MAX_RENDERED_CHARS } from '../../../src/config/limits.ts';
import { type ModelDirectory, openModelDirectory } from '../../../src/model/directory.ts';
import type { ModelText } from '../../../src/model/text/model-text.ts';
import { readModelText } from '../../../src/model/text/model-text-files.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';

const context = () => ({ signal: new AbortController().signal });
/** Called where this thread encodes. */
const here = vi.hoisted(() => vi.fn());
vi.mock('../../../src/model/text/encoding/encoder.ts', async (original) => {
  const real = await original<typeof import('../../../src/model/text/encoding/encoder.ts')>();
  return {
    ...real,
    createTextEncoder(json: Parameters<typeof real.createTextEncoder>[0]) {
      const encoder = real.createTextEncoder(json);
      return { ...encoder, encode: here.mockImplementation(encoder.encode) };
    },
  };
});
let directory: ModelDirectory;
let model: ServedModel;
let backend: Backend;
let generator: FakeGenerator;

beforeAll(async () => {
  directory = await openModelDirectory('models/minnow');
  model = await loadServedModel(directory);
});
beforeEach(() => {
  here.mockClear();
  generator = new FakeGenerator(says('x'));
  backend = createFxnBackend({ generator, model, readiness: () => ({ ready: true, detail: '' }) });
});
afterAll(() => model.prompts.close());

const local = async (): Promise<PromptModel & ModelText> => ({
  id: directory.model,
  spec: directory.spec,
  ...(await readModelText(directory)),
});

describe('the server’s own thread', () => {
  it('never tokenizes', async () => {
    const messages = [{ role: 'user' as const, content: 'What is 17 plus 25? <|end|>' }];
    await backend.chatCompletions({ model: 'minnow', messages, n: 2 }, context());
    await backend.completions({ model: 'minnow', prompt: ['One', 'Two', ''] }, context());
    await backend.completions({ model: 'minnow', prompt: [1, 2, 3] }, context());
    expect(here).not.toHaveBeenCalled();

    const text = await local();
    const one = chatPrompt(text, { messages });
    expect(generator.requests.map(({ prompt }) => prompt)).toEqual([
      one,
      one,
      ...['One', 'Two', ''].map((prompt) => completionPrompt(text, prompt)),
      [1, 2, 3],
    ]);
    // It would have been seen.
    expect(here).toHaveBeenCalled();
  });

  it('knows of the tokens what it needs to write an answer', async () => {
    const { tokenizer } = await local();
    expect(model.eosTokenId).toBe(tokenizer.eosTokenId);
    for (let id = 0; id < directory.spec.vocab; id++) {
      expect(model.tokens.tokenBytes(id)).toEqual(tokenizer.tokenBytes(id));
    }
    const ids = tokenizer.encode('Zoë likes 🐟.<|end|>', { addSpecialTokens: true });
    const decoder = model.tokens.createDecoder();
    expect(ids.map((id) => decoder.push(id)).join('') + decoder.flush()).toBe(tokenizer.decode(ids));
  });
});

describe('a prompt that is too long', () => {
  const long = 'a fish '.repeat(100_000);

  it('is refused by its text, raw', async () => {
    const answer = backend.completions({ model: 'minnow', prompt: long }, context());
    await expect(answer).rejects.toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
      param: 'prompt',
      message: expect.stringMatching(
        /^prompt is 700000 B of text, which are at least 50000 tokens long.*takes 512/,
      ),
    });
  });

  it('counts what a request gives its template beside the messages', async () => {
    const chat_template_kwargs = { note: 'x'.repeat(MAX_RENDERED_CHARS) };
    const messages = [{ role: 'user' as const, content: 'x' }];
    await expect(model.prompts.chat({ messages, chat_template_kwargs }, context())).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining(String(MAX_RENDERED_CHARS + 1)),
    });
  });

  it('is refused before it waits for a thread', async () => {
    const served = await loadServedModel(directory);
    await served.prompts.close();
    await expect(served.prompts.completion(long, context())).rejects.toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
    });
    await expect(served.prompts.completion('One', context())).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('is refused by what the template makes of it', async () => {
    const messages = [{ role: 'user', content: long }];
    await expect(backend.chatCompletions({ model: 'minnow', messages }, context())).rejects.toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
      param: 'messages',
      message: expect.stringMatching(/^messages is 7\d{5} B of text, which are at least 50\d{3} tokens/),
    });
  });

  it('and might fit by its text is refused by its tokens, as ever', async () => {
    const prompt = 'a fish '.repeat(500);
    await expect(backend.completions({ model: 'minnow', prompt }, context())).rejects.toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
      message: expect.stringMatching(/^prompt is \d{3,4} tokens long/),
    });
  });
});
