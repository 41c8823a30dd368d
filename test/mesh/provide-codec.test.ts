import { describe, expect, it } from 'vitest';
import { MAX_PROVIDE_REQUEST_BYTES, MAX_PROVIDER_MESSAGE_BYTES } from '../../src/config/limits.ts';
import { PROVIDE_VERSION, type ProviderMessage } from '../../src/mesh/protocol/provide.ts';
import {
  parseProviderMessage,
  parseProvidingServerMessage,
  writeProviderMessage,
  writeProvidingServerMessage,
} from '../../src/mesh/protocol/provide-codec.ts';

const offer: ProviderMessage = {
  type: 'offer',
  provider: 'ollama',
  models: [{ id: 'llama3.2:1b', created: 1, ownedBy: 'library' }],
  anyModel: false,
  maxConcurrent: 4,
};

const invalid = expect.objectContaining({ code: 'PROTOCOL_INVALID' });

describe('the provider protocol', () => {
  it('carries every message unchanged', () => {
    const messages: ProviderMessage[] = [
      { type: 'hello', version: PROVIDE_VERSION, name: 'box', key: 'sk-1' },
      offer,
      { type: 'withdraw', reason: 'leaving' },
      { type: 'head', request: 1, status: 429, contentType: 'application/json', retryAfter: '2' },
      { type: 'chunk', request: 1, data: 'data: {"a":"💧"}\n\n' },
      { type: 'end', request: 1, error: { code: 'OVERLOADED', message: 'full', retryAfterSeconds: 2 } },
      {
        type: 'end',
        request: 2,
        report: {
          model: 'm',
          outcome: 'stop',
          promptTokens: 3,
          completionTokens: null,
          timeToFirstTokenMs: null,
          durationMs: 5,
        },
      },
      { type: 'pong' },
    ];
    for (const message of messages)
      expect(parseProviderMessage(writeProviderMessage(message))).toEqual(message);
    const request = {
      type: 'request',
      request: 7,
      path: 'chat',
      body: { messages: [] },
      credit: 10,
    } as const;
    expect(parseProvidingServerMessage(writeProvidingServerMessage(request))).toEqual(request);
  });

  it.each([
    ['not JSON', '{'],
    ['no known type', '{"type":"steal"}'],
    ['an empty chunk', '{"type":"chunk","request":1,"data":""}'],
    ['request 0', '{"type":"chunk","request":0,"data":"a"}'],
    ['a status that is none', '{"type":"head","request":1,"status":99,"contentType":"text/plain"}'],
    ['an error code that is none', '{"type":"end","request":1,"error":{"code":"BOOM","message":""}}'],
    ['nothing at once', JSON.stringify({ ...offer, maxConcurrent: 0 })],
    ['a model without a name', JSON.stringify({ ...offer, models: [{ id: '', created: 0, ownedBy: '' }] })],
    ['a redirect', '{"type":"head","request":1,"status":302,"contentType":"text/html"}'],
    ['a status without a body', '{"type":"head","request":1,"status":204,"contentType":"text/html"}'],
    [
      'a second header within one',
      JSON.stringify({
        type: 'head',
        request: 1,
        status: 429,
        contentType: 'a/b',
        retryAfter: '1\r\nset-cookie: a=b',
      }),
    ],
    [
      'a header that is no Latin-1',
      JSON.stringify({ type: 'head', request: 1, status: 429, contentType: 'a/b', retryAfter: '1\u2028' }),
    ],
    ['a name of several lines', JSON.stringify({ type: 'hello', version: PROVIDE_VERSION, name: 'a\nb' })],
    [
      'a model’s name that steers a terminal',
      JSON.stringify({ ...offer, models: [{ id: 'a\u001b[2J', created: 0, ownedBy: '' }] }),
    ],
    ['another engine', JSON.stringify({ ...offer, provider: 'other' })],
  ])('refuses %s', (_what, text) => {
    expect(() => parseProviderMessage(text)).toThrow(invalid);
  });

  it('refuses what is too large before it is parsed, and does not send it', () => {
    const text = JSON.stringify({ type: 'withdraw', reason: 'x'.repeat(MAX_PROVIDER_MESSAGE_BYTES) });
    expect(() => parseProviderMessage(text)).toThrow(/at most 524288 B/);
    const body = 'é'.repeat(MAX_PROVIDE_REQUEST_BYTES / 2);
    expect(() =>
      writeProvidingServerMessage({ type: 'request', request: 1, path: 'chat', body, credit: 1 }),
    ).toThrow(invalid);
  });

  it('refuses another version before anything else is read, and says which side should update', () => {
    const hello = (version: number) => JSON.stringify({ type: 'hello', version, changed: 'shape' });
    const welcome = (version: number) => JSON.stringify({ type: 'welcome', version, changed: 'shape' });
    expect(() => parseProviderMessage(hello(PROVIDE_VERSION + 1))).toThrow(/update the server/);
    expect(() => parseProviderMessage(hello(PROVIDE_VERSION - 1))).toThrow(
      /update shoal where the provider runs/,
    );
    expect(() => parseProvidingServerMessage(welcome(PROVIDE_VERSION + 1))).toThrow(/update shoal where/);
    expect(() => parseProvidingServerMessage(welcome(PROVIDE_VERSION - 1))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VERSION' }),
    );
  });
});
