import { expect, it } from 'vitest';
import { fromOllamaChat, fromOllamaGenerate } from '../../../src/server/api/ollama/request.ts';

/** Fails who looks at an entry: of a list that may have a million, or an object with thousands. */
function unreadable<T extends object>(value: T, key: string | number): T {
  return Object.defineProperty(value, key, {
    enumerable: true,
    get: () => {
      throw new Error('somebody looked at the entries');
    },
  });
}

it('a context is refused without a look at its token ids', () => {
  const context = unreadable([1, 2, 3], 1);
  expect(() => fromOllamaGenerate({ model: 'm', prompt: 'a', context }, 'fxn')).toThrow(
    'context is not supported',
  );
  expect(() => fromOllamaGenerate({ model: 'm', prompt: 'a', context: 'a' }, 'fxn')).toThrow(
    'context: Invalid input: expected array',
  );
});

it('schemas are passed on without a look at what is in them', () => {
  const schema = unreadable({ type: 'object' }, 'properties');
  const asked = fromOllamaChat(
    { model: 'm', messages: [{ role: 'user', content: 'a' }], format: schema, tools: [schema] },
    'custom',
  );
  const body = (asked as { body: Record<string, unknown> }).body;
  expect(body.tools).toEqual([schema]);
  expect((body.response_format as { json_schema: { schema: object } }).json_schema.schema).toBe(schema);
  expect(() => fromOllamaChat({ model: 'm', tools: ['a'] }, 'fxn')).toThrow(
    'tools.0: Invalid input: expected object',
  );
});
