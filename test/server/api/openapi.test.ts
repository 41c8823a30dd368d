import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { CHAT, COMPLETION, HARMLESS } from '../../../src/backend/openai/known-parameters.ts';
import { parseChatRequest, parseCompletionRequest } from '../../../src/backend/openai/request-schema.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { openApiDocument } from '../../../src/server/api/openapi.ts';
import { FakeGenerator, fails, says } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/fake-model.ts';
import { type NativeApp, nativeApp } from '../native-app.ts';

type Json = Record<string, unknown>;
interface Operation {
  readonly operationId: string;
  readonly requestBody?: { content: { 'application/json': { schema: { $ref: string }; example: Json } } };
  readonly responses: Record<string, { description: string; content: Record<string, { schema: Json }> }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, Json> };
}

let generator: FakeGenerator;
let native: NativeApp;
let document: Document;

beforeEach(async () => {
  generator = new FakeGenerator(says('Hello.'));
  native = nativeApp(
    createFxnBackend({ generator, model: fakeModel, readiness: () => ({ ready: true, detail: 'serving' }) }),
  );
  document = (await (await native.send('/openapi.json')).json()) as Document;
});

/** What a schema of the document accepts, by name. */
const accepts = (name: string, value: unknown) =>
  z.fromJSONSchema(document.components.schemas[name] as z.core.JSONSchema.JSONSchema).safeParse(value);

function* nodes(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Json;
  for (const child of Object.values(value)) yield* nodes(child);
}

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe('the document', () => {
  it('is OpenAPI 3.1 whose references all lead somewhere', () => {
    expect(document.openapi).toBe('3.1.0');
    const references = [...nodes(document)].flatMap(({ $ref }) => (typeof $ref === 'string' ? [$ref] : []));
    expect(references.length).toBeGreaterThan(20);
    for (const reference of references) {
      const [, , , name] = reference.split('/');
      expect(reference).toBe(`#/components/schemas/${name}`);
      expect(document.components.schemas).toHaveProperty(name!);
    }
    const used = new Set(references.map((reference) => reference.split('/')[3]));
    expect(Object.keys(document.components.schemas).filter((name) => !used.has(name))).toEqual([]);
  });

  it('has its schemas made once, not at each GET', () => {
    const schemas = () =>
      (openApiDocument('fxn', 'a') as { components: { schemas: Json } }).components.schemas;
    expect(schemas()).toBe(schemas());
  });

  it('describes every operation: what it takes, what it gives, what it refuses', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations()) {
      expect(Object.keys(operation.responses)).toContain('200');
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description, status).not.toBe('');
        expect(Object.values(response.content).every(({ schema }) => schema !== undefined)).toBe(true);
      }
    }
    const { responses } = document.paths['/v1/chat/completions']!.post!;
    expect(Object.keys(responses)).toEqual([
      '200',
      '400',
      '401',
      '403',
      '404',
      '410',
      '413',
      '422',
      '429',
      '502',
      '503',
      '504',
    ]);
  });

  it('names parameters with their bounds, and those that are refused with the reason', () => {
    const { properties } = document.components.schemas.ChatRequest as { properties: Record<string, Json> };
    expect(properties.temperature).toMatchObject({ minimum: 0, maximum: 2 });
    expect(properties.n).toMatchObject({ maximum: 8 });
    expect(properties.top_logprobs).toMatchObject({ maximum: 20 });
    expect(properties.tools!.description).toMatch(/^Not supported: tool calls/);
    expect(properties.user!.description).toMatch(/not read/);
  });

  it('names every parameter that is known, of either endpoint', () => {
    for (const [name, known] of [
      ['ChatRequest', CHAT],
      ['CompletionRequest', COMPLETION],
    ] as const) {
      const { properties } = document.components.schemas[name] as { properties: Json };
      const all = [...Object.keys(known), ...HARMLESS];
      expect(all.filter((parameter) => !Object.hasOwn(properties, parameter))).toEqual([]);
    }
  });

  it('has examples that are valid and answered', async () => {
    for (const { path, operation } of operations()) {
      if (operation.requestBody === undefined) continue;
      const { schema, example } = operation.requestBody.content['application/json'];
      expect(accepts(schema.$ref.split('/').at(-1)!, example).error).toBeUndefined();
      const answer = await native.post(path, { ...example, model: 'fake' });
      expect(answer.status).toBe(200);
    }
  });

  it.each([
    [{}, true],
    [{ stop: 'a', seed: -3, logit_bias: { 5: 1.5 }, logprobs: true, top_logprobs: 2 }, true],
    [{ n: 9 }, false],
    [{ temperature: 2.5 }, false],
    [{ logit_bias: { x: 1 } }, false],
    [{ tools: [] }, true],
    [{ tools: [{}] }, false],
    [{ best_of: 1 }, true],
    [{ best_of: 2 }, false],
    [{ logit_bias: [] }, true],
    [{ stream_options: [] }, true],
    [{ max_tokens: -1 }, true],
    [{ max_tokens: 0 }, false],
    [{ stop: '' }, true],
    [{ response_format: { type: 'text' } }, true],
    [{ response_format: { type: 'json_object' } }, false],
    [{ surprise: 1 }, true],
    [{ user: 'me' }, true],
    [{ messages: [] }, false],
    [{ messages: [{ role: 'developer', content: [{ type: 'text', text: 'a' }] }] }, true],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, false],
  ])('agrees with the code that reads requests: %j', (change, valid) => {
    const body = { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], ...change };
    expect(accepts('ChatRequest', body).success).toBe(valid);
    const read = () => parseChatRequest(body);
    if (valid) read();
    else expect(read).toThrow(ShoalError);
  });

  it.each([
    [{ prompt: 'a' }, true],
    [{ prompt: [1, 2] }, true],
    [{ prompt: ['a', 'b'], n: 2, logprobs: 5 }, true],
    [{ prompt: [] }, false],
    [{ prompt: 'a', logprobs: 6 }, false],
    [{ prompt: 'a', echo: true }, false],
    [{ prompt: 'a', suffix: '' }, true],
  ])('the same for completions: %j', (change, valid) => {
    const body = { model: 'fake', ...change };
    expect(accepts('CompletionRequest', body).success).toBe(valid);
    const read = () => parseCompletionRequest(body);
    if (valid) read();
    else expect(read).toThrow(ShoalError);
  });

  it('leaves the requests of a proxy to its backend', () => {
    const proxy = openApiDocument('vllm', 'm') as unknown as Document;
    expect(proxy.components.schemas.ChatRequest).toMatchObject({ required: ['model', 'messages'] });
    expect(proxy.components.schemas.ChatRequest).not.toHaveProperty('additionalProperties');
  });
});

describe('answers are as published', () => {
  const chat = { model: 'fake', messages: [{ role: 'user', content: 'Hi' }] };
  const variants: [string, string, Json][] = [
    ['/v1/chat/completions', 'ChatCompletion', chat],
    ['/v1/chat/completions', 'ChatCompletion', { ...chat, n: 3, logprobs: true, top_logprobs: 2 }],
    ['/v1/chat/completions', 'ChatCompletion', { ...chat, max_tokens: 1 }],
    ['/v1/completions', 'Completion', { model: 'fake', prompt: ['a', 'b'], logprobs: 2 }],
    ['/v1/completions', 'Completion', { model: 'fake', prompt: 'a' }],
  ];

  it.each(variants)('%s: %s to %j', async (path, name, body) => {
    const answer = await native.post(path, body);
    expect(accepts(name, await answer.json()).error).toBeUndefined();
  });

  it.each(variants)('%s streamed: %s chunks to %j', async (path, name, body) => {
    const stream_options = { include_usage: true };
    const text = await (await native.post(path, { ...body, stream: true, stream_options })).text();
    const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
    expect(events.length).toBeGreaterThan(2);
    const chunk = name === 'Completion' ? 'CompletionChunk' : 'ChatCompletionChunk';
    for (const event of events) expect(accepts(chunk, JSON.parse(event.slice(6))).error).toBeUndefined();
  });

  it('errors, before a stream and within it', async () => {
    const before = await native.post('/v1/chat/completions', { ...chat, n: 0 });
    expect(before.status).toBe(400);
    expect(accepts('Error', await before.json()).error).toBeUndefined();
    generator.script = fails(new ShoalError('PIPELINE_LOST', 'gone'), 'He');
    const text = await (await native.post('/v1/chat/completions', { ...chat, stream: true })).text();
    const last = text.trim().split('\n\n').at(-1)!;
    expect(accepts('Error', JSON.parse(last.slice(6))).error).toBeUndefined();
  });

  it.each([
    ['/v1/models', 'ModelList'],
    ['/v1/models/fake', 'Model'],
    ['/health', 'Health'],
    ['/v1/health', 'Health'],
    ['/ping', 'Health'],
    ['/version', 'Version'],
    ['/health/live', 'Liveness'],
    ['/health/ready', 'Readiness'],
    ['/api/status', 'Status'],
  ])('%s: %s', async (path, name) => {
    const answer = await native.send(path);
    expect(answer.status).toBe(200);
    expect(accepts(name, await answer.json()).error).toBeUndefined();
  });
});

describe('a wrong method', () => {
  it.each([
    ['GET', '/v1/chat/completions', 'POST, DELETE'],
    ['PUT', '/v1/completions', 'POST, DELETE'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['PUT', '/v1/models/org/name', 'GET, HEAD'],
    ['POST', '/health/ready', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
    ['POST', '/metrics', 'GET, HEAD'],
    ['GET', '/api/chat', 'POST, DELETE'],
    ['DELETE', '/api/show', 'POST'],
  ])('%s %s is told to use %s', async (method, path, allow) => {
    const answer = await native.send(path, { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe(allow);
    expect(await answer.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
  });

  it('on a path that is not there is still 404', async () => {
    expect((await native.send('/v1/nothing', { method: 'POST' })).status).toBe(404);
  });
});
