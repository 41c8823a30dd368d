import { describe, expect, it } from 'vitest';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import {
  MAX_CHAT_MESSAGES,
  MAX_CONTENT_PARTS,
  MAX_LOGIT_BIAS,
  MAX_MESSAGE_KEYS,
  MAX_REQUEST_PARAMETERS,
  MAX_REQUEST_PARTS,
  MAX_REQUEST_TOOLS,
} from '../../../src/config/limits.ts';
import { checkRequestSizes } from '../../../src/server/api/request-sizes.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { CONTEXT, fakeModel } from '../../support/fake-model.ts';

const list = (length: number, item: unknown = {}) => Array.from({ length }, () => item);
const object = (length: number) => Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, 0]));

describe('a request', () => {
  it.each([
    ['messages', { messages: list(MAX_CHAT_MESSAGES + 1) }],
    ['logit_bias', { logit_bias: object(MAX_LOGIT_BIAS + 1) }],
    ['stop', { stop: list(MAX_REQUEST_PARTS + 1, '') }],
    ['tools', { tools: list(MAX_REQUEST_TOOLS + 1) }],
    ['options', { options: object(MAX_REQUEST_PARAMETERS + 1) }],
    ['chat_template_kwargs', { chat_template_kwargs: object(MAX_REQUEST_PARAMETERS + 1) }],
    ['stream_options', { stream_options: object(MAX_REQUEST_PARAMETERS + 1) }],
    ['images', { images: list(MAX_CONTENT_PARTS + 1, '') }],
    ['messages.1.content', { messages: [{}, { content: list(MAX_CONTENT_PARTS + 1) }] }],
    ['messages.0.tool_calls', { messages: [{ tool_calls: list(MAX_CONTENT_PARTS + 1) }] }],
    ['messages.0', { messages: [object(MAX_REQUEST_PARAMETERS + 1)] }],
    ['messages', { messages: list(MAX_REQUEST_PARTS / 32 + 1, { content: list(32) }) }],
    ['messages', { messages: list(MAX_MESSAGE_KEYS / 32 + 1, object(32)) }],
    [undefined, object(MAX_REQUEST_PARAMETERS + 1)],
  ])('with too many entries is refused before a schema looks at each: %s', (param, body) => {
    expect(() => checkRequestSizes(body)).toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        param,
        message: expect.stringMatching(
          /has \d+ (entries|keys|parts, images and calls), at most \d+ are taken/,
        ),
      }),
    );
  });

  it('of any other form is left to the schema', () => {
    for (const body of [
      null,
      1,
      'a',
      [],
      {},
      { messages: 'a' },
      { messages: [null, 1, [], { content: 'a' }] },
    ]) {
      expect(() => checkRequestSizes(body)).not.toThrow();
    }
    const full = { messages: list(MAX_CHAT_MESSAGES, { role: 'user', content: list(4) }) };
    expect(() => checkRequestSizes(full)).not.toThrow();
  });

  it.each([
    ['one list', list(CONTEXT, 'no id at all, which the schema would say of each')],
    ['several', [[1], list(CONTEXT, -1)]],
  ])('with more token ids than the context holds is refused by their number: %s', async (_, prompt) => {
    const given = _ === 'one list' ? [1, ...prompt] : prompt;
    const backend = createFxnBackend({
      generator: new FakeGenerator(says('x')),
      model: fakeModel,
      readiness: () => ({ ready: true, detail: '' }),
    });
    const answer = backend.completions({ model: 'fake', prompt: given }, { signal: AbortSignal.any([]) });
    await expect(answer).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED', param: 'prompt' });
  });
});
