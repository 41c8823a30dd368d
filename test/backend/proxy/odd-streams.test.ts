/** What backends write that is odd: what of it means nothing may neither break an answer nor reach a client, and what means something is told. */
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { createOllamaBackend } from '../../../src/backend/ollama/ollama.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { createGuardedFetch, type GuardedFetch } from '../../../src/backend/proxy/guarded-fetch.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { chunked, EVENTS_HEAD, head, LAST_CHUNK, RawServer, whole } from '../../support/raw-server.ts';

const timeouts = { connect: 1_000, firstByte: 1_000, idle: 1_000 };
let raw: RawServer;
let guarded: GuardedFetch;
let backend: Backend;
let api: ApiServer;

beforeAll(async () => {
  api = await serveApi(() => backend);
});
afterAll(() => api.close());
beforeEach(async () => {
  raw = new RawServer();
  const url = await raw.listen();
  guarded = createGuardedFetch({ allowAddresses: [], connectMs: timeouts.connect });
  backend = createCustomBackend({ url, timeouts }, { fetch: guarded.fetch });
});
afterEach(async () => {
  await backend.close();
  await guarded.close();
  await raw.close();
});

/** The stream as the client gets it, and what OpenAI's client makes of it. */
async function ask(extra: object = {}, path = 'chat/completions') {
  const response = await fetch(`${api.baseURL}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [], stream: true, ...extra }),
  });
  return { status: response.status, text: await response.text() };
}

async function readByClient(): Promise<string> {
  let text = '';
  const stream = await api.client.chat.completions.create({ model: 'm', messages: [], stream: true });
  for await (const { choices } of stream) text += choices[0]!.delta?.content ?? '';
  return text;
}

const saysAndEnds =
  (...pieces: (string | Uint8Array)[]) =>
  (socket: Socket) => {
    socket.write(EVENTS_HEAD);
    for (const piece of pieces) socket.write(chunked(piece));
    socket.end(LAST_CHUNK);
  };

const json = (content: string, finish: unknown, extra: object = {}) =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta: { content }, ...(finish !== undefined && { finish_reason: finish }) }],
    ...extra,
  });
const event = (content: string, finish?: unknown, extra: object = {}) =>
  `data: ${json(content, finish, extra)}\n\n`;
const HI = event('Hi', null);
const END = event('', 'stop');
const DONE = 'data: [DONE]\n\n';
const MARK = '\uFEFF';

describe('a finish reason that is not given', () => {
  it.each<[string, unknown]>([
    ['empty', ''],
    ['null', null],
    ['left out', undefined],
    ['no text', 0],
  ])('is none: a stream that ends is broken off (%s)', async (_, finish) => {
    raw.script = saysAndEnds(event('One ', finish), event('two ', finish));
    const { text } = await ask();
    expect(text).toContain('in the middle of the answer');
    expect(text).not.toContain('[DONE]');
  });

  it('does not end a choice whose log probabilities come later', async () => {
    const logprobs = { content: [{ token: 'two', logprob: -1, bytes: null, top_logprobs: [] }] };
    const second = JSON.stringify({
      choices: [{ index: 0, delta: { content: 'two' }, finish_reason: 'stop', logprobs }],
    });
    raw.script = saysAndEnds(event('One ', ''), `data: ${second}\n\n`, DONE);
    expect((await ask({ logprobs: true })).text).not.toContain('unsupported_parameter');
  });

  it('is given by any word, known or not', async () => {
    raw.script = saysAndEnds(HI, event('', 'eos_token_found'));
    expect((await ask()).text).toMatch(/\[DONE\]\n\n$/);
  });
});

describe('an error that is none', () => {
  const none = ['', ' ', null, false, 0, {}, [], [null], { message: '' }, { message: null, code: 0 }, [{}]];
  it.each(none.map((error) => [JSON.stringify(error), error]))('%s', async (_, error) => {
    raw.script = saysAndEnds(event('Hi', null, { error }), event('', 'stop', { error }), DONE);
    // For a client in JavaScript `{}` would be one.
    expect(await readByClient()).toBe('Hi');
  });

  it('leaves the rest of the event as it was written', async () => {
    raw.script = saysAndEnds(
      'data: {"error" : {}, "choices":[{"index":0,"delta":{"content":"Hi"},"seed":12345678901234567890}]}\n\n',
      END,
      DONE,
    );
    expect((await ask()).text).toContain(
      'data: {"error" : null, "choices":[{"index":0,"delta":{"content":"Hi"},"seed":12345678901234567890}]}\n\n',
    );
  });
});

describe('an error in whatever form', () => {
  const forms: [error: unknown, status: number, message: string, code?: string | number | null][] = [
    ['boom', 502, 'failed: boom'],
    [['boom'], 502, 'failed: boom'],
    [[{ message: 'boom' }], 502, 'failed: boom'],
    [{ error: { message: 'boom' } }, 502, 'failed: boom'],
    [{ message: { message: 'boom' } }, 502, 'failed: boom'],
    [{ msg: 'boom' }, 502, 'failed: boom'],
    [true, 502, 'gave no reason'],
    [503, 503, 'not available (503)'],
    [{ code: 'context_length_exceeded' }, 400, 'context_length_exceeded', 'context_length_exceeded'],
    [{ message: 'too long', code: 'context_length_exceeded' }, 400, 'too long', 'context_length_exceeded'],
    [{ message: 'slow down', code: '429' }, 429, 'slow down', '429'],
    [{ message: 'slow down', code: 429 }, 429, 'slow down', 429],
    [{ message: 'slow down', code: 'rate_limit_exceeded' }, 429, 'slow down', 'rate_limit_exceeded'],
    [{ message: 'slow down', type: 'RateLimitError', code: null }, 429, 'slow down', null],
    [{ message: 'no', type: 'invalid_request_error' }, 400, 'no', null],
    [{ message: 'no', code: 'invalid_api_key' }, 502, 'asks for a key (401): no'],
    [{ message: 'busy', type: 'overloaded_error' }, 503, 'busy'],
    [{ message: 'odd', code: 'server_error', type: 'server_error' }, 502, 'failed: odd'],
    [{ message: 'odd', code: 'whatever' }, 502, 'failed: odd'],
  ];
  it.each(forms.map(([error, ...rest]) => [JSON.stringify(error), error, ...rest] as const))(
    '%s',
    async (_, error, status, message, code) => {
      const body = JSON.stringify({ error });
      for (const script of [
        saysAndEnds(`data: ${body}\n\n`),
        saysAndEnds(event('', null, { error })),
        (socket: Socket) => void socket.end(whole('200 OK', 'application/json', body)),
      ]) {
        raw.script = script;
        const answer = await ask();
        expect(answer).toMatchObject({ status });
        const told = JSON.parse(answer.text).error;
        expect(told.message).toContain(message);
        if (code !== undefined) expect(told.code).toBe(code);
      }
    },
  );

  it('is told in the middle of a stream with its own code', async () => {
    raw.script = saysAndEnds(
      HI,
      `data: ${JSON.stringify({ error: { code: 'context_length_exceeded' } })}\n\n`,
    );
    const { text } = await ask();
    expect(text).toContain('"code":"context_length_exceeded"');
    expect(text).not.toContain('[DONE]');
  });

  it('is a fault of the client’s by its code, though its status is 500', async () => {
    const body = '{"error":{"message":"too long","code":"context_length_exceeded"}}';
    raw.script = (socket) => void socket.end(whole('500 Internal Server Error', 'application/json', body));
    expect(await ask()).toMatchObject({ status: 400, text: expect.stringContaining('too long') });
  });

  it('comes as a list, as Google writes it', async () => {
    const body = '[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]';
    raw.script = (socket) => void socket.end(whole('400 Bad Request', 'application/json', body));
    expect(await ask()).toMatchObject({ status: 400, text: expect.stringContaining('API key not valid') });
  });

  it('stands beside choices that are empty', async () => {
    const body = '{"choices":[],"error":{"message":"moderated","code":400}}';
    raw.script = (socket) => void socket.end(whole('200 OK', 'application/json', body));
    expect(await ask({ stream: false })).toMatchObject({
      status: 400,
      text: expect.stringContaining('moderated'),
    });
  });
});

describe('a byte order mark', () => {
  const stream = `${HI}${END}${DONE}`;
  const bytes = Buffer.from(MARK + stream);
  it.each<[string, (string | Uint8Array)[]]>([
    ['at the beginning', [MARK + stream]],
    ['cut in two', [bytes.subarray(0, 1), bytes.subarray(1, 2), bytes.subarray(2)]],
    ['twice', [MARK + MARK + stream]],
    ['alone on its line', [`${MARK}\n\n${stream}`]],
    ['before a later event', [`${HI}${MARK}${END}${DONE}`]],
    ['before the data', [stream.replace('data: {', `data: ${MARK}{`)]],
  ])('does not reach the client: %s', async (_, pieces) => {
    raw.script = saysAndEnds(...pieces);
    expect((await ask()).text).toBe(stream);
  });

  it('does not reach the client of a whole answer', async () => {
    const body = '{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}';
    raw.script = (socket) => void socket.end(whole('200 OK', 'application/json', MARK + MARK + body));
    expect((await ask({ stream: false })).text).toBe(body);
  });
});

describe('an event with a name', () => {
  it.each([
    ['event: ping\ndata: {"type":"ping"}\n\n'],
    ['event: heartbeat\ndata: still here\n\n'],
    ['event: ping\n\n'],
    ['data: {"type":"ping"}\n\n'],
    ['event: ping\rdata: {"type": "ping"}\r\r'],
    ['event:ping\r\ndata:{"type":\r\ndata:"ping"}\r\n\r\n'],
  ])('is left out where it is no part of the answer: %j', async (ping) => {
    raw.script = saysAndEnds(ping, HI, ping, END, ping, DONE);
    expect((await ask()).text).toBe(`${HI}${END}${DONE}`);
    expect(await readByClient()).toBe('Hi');
  });

  it('keeps the name where it is', async () => {
    raw.script = saysAndEnds(`event: delta\nid: 7\n${HI}`, `event: message\n${END}`, DONE);
    expect((await ask()).text).toBe(`event: delta\n${HI}${END}${DONE}`);
  });

  it.each([
    ['event: error\ndata: {"message":"boom"}\n\n', 'boom'],
    ['event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"boom"}}\n\n', 'boom'],
    ['event: error\ndata: boom\n\n', 'boom'],
  ])('is an error where that is its name: %j', async (failure, message) => {
    raw.script = saysAndEnds(HI, failure);
    const { text } = await ask();
    expect(text).toContain(`"message":"${message}"`);
    expect(text).not.toContain('[DONE]');
  });

  it.each([
    ['retry and id', `retry: 10\nid: 1\n\n${HI}`],
    ['a comment in the event', HI.replace('data', ': hm\ndata')],
    ['data on several lines', HI.replace('"choices"', '\ndata: "choices"')],
    ['CR alone', HI.replaceAll('\n', '\r')],
  ])('goes with %s', async (_, first) => {
    raw.script = saysAndEnds(first, END, DONE);
    expect(await readByClient()).toBe('Hi');
  });

  it.each(['data: [DONE] \n\n', 'data:  [DONE]\n\n', 'event: done\ndata: [DONE]\n\n', 'data: [DONE]', ''])(
    'is followed by an end: %j',
    async (done) => {
      raw.script = saysAndEnds(HI, END, done);
      expect((await ask()).text).toBe(`${HI}${END}${DONE}`);
    },
  );
});

describe('an interim answer that nobody asked for', () => {
  const body = '{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}';
  const answer = whole('200 OK', 'application/json', body);
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
  const slowly = (text: string) => async (socket: Socket) => {
    for (const byte of text) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  it.each<[string, (socket: Socket) => unknown]>([
    ['100', (socket) => socket.write(CONTINUE + answer)],
    ['100 with headers', (socket) => socket.write(`HTTP/1.1 100 Go on\r\nx: 1\r\ny: 100\r\n\r\n${answer}`)],
    ['100, byte for byte', slowly(CONTINUE + answer)],
    ['many of them', (socket) => socket.write(CONTINUE.repeat(50) + answer)],
    [
      '100, 102, 103',
      (socket) =>
        socket.write(
          `${CONTINUE}${CONTINUE.replace('100', '102')}${CONTINUE.replace('100', '103')}${answer}`,
        ),
    ],
  ])('is skipped: %s', async (_, script) => {
    raw.script = script;
    // The second goes over the same connection.
    for (let i = 0; i < 2; i++) expect(await ask({ stream: false })).toEqual({ status: 200, text: body });
    expect(raw).toMatchObject({ requests: 2, connections: 1 });
  });

  it('changes no byte of the answer, though it looks like one', async () => {
    const odd =
      '{"choices":[{"index":0,"message":{"content":"HTTP/1.1 100 Continue"},"finish_reason":"stop"}]}';
    raw.script = (socket) => {
      socket.write(head('200 OK', { 'content-type': 'application/json', 'content-length': odd.length }));
      setTimeout(() => socket.write(odd.slice(0, 49)), 20);
      setTimeout(() => socket.write(odd.slice(49)), 40);
    };
    expect((await ask({ stream: false })).text).toBe(odd);
  });

  it('goes before a stream, and before an error', async () => {
    raw.script = (socket) => {
      socket.write(CONTINUE);
      saysAndEnds(HI, END, DONE)(socket);
    };
    expect((await ask()).text).toBe(`${HI}${END}${DONE}`);
    raw.script = (socket) =>
      socket.end(CONTINUE + whole('400 Bad Request', 'application/json', '{"error":{"message":"no"}}'));
    expect(await ask()).toMatchObject({ status: 400 });
  });

  it('comes without end, and is waited for no longer than a silence', async () => {
    raw.script = (socket) => {
      const timer = setInterval(() => socket.write(CONTINUE), 5);
      socket.on('close', () => clearInterval(timer));
    };
    expect(await ask()).toMatchObject({ status: 504 });
    await expect.poll(() => raw.open, { timeout: 5_000 }).toBe(0);
  });
});

describe('a line of Ollama’s', () => {
  const line = (content: string, extra: object) =>
    `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, ...extra })}\n`;
  const NDJSON = head('200 OK', { 'content-type': 'application/x-ndjson', 'transfer-encoding': 'chunked' });
  const asking = async (...lines: string[]) => {
    raw.script = (socket) => {
      socket.write(NDJSON);
      for (const text of lines) socket.write(chunked(text));
      socket.end(LAST_CHUNK);
    };
    return ask({ messages: [{ role: 'user', content: 'hi' }] });
  };
  beforeEach(async () => {
    await raw.close();
    raw = new RawServer();
    backend = createOllamaBackend({ url: await raw.listen(), timeouts }, { fetch: guarded.fetch });
  });

  it.each(['', null, false, {}, []].map((error) => [JSON.stringify(error), error]))(
    'has an error that is none: %s',
    async (_, error) => {
      const { text } = await asking(line('Hi', { done: false, error }), line('', { done: true, error }));
      expect(text).toContain('"content":"Hi"');
      expect(text).toMatch(/\[DONE\]\n\n$/);
    },
  );

  it.each(
    ['boom', { message: 'boom' }, ['boom'], { error: 'boom' }].map((error) => [JSON.stringify(error), error]),
  )('has an error in another form: %s', async (_, error) => {
    const { text } = await asking(line('Hi', { done: false }), `${JSON.stringify({ error })}\n`);
    expect(text).toContain('failed: boom');
    expect(text).not.toContain('[DONE]');
  });

  it('is not the last one because it says "false" in quotes', async () => {
    const { status, text } = await asking(line('Hi', { done: 'false' }));
    expect(status).toBe(502);
    expect(text).toContain('none of Ollama’s');
  });

  it('begins with byte order marks', async () => {
    const { text } = await asking(MARK + MARK + line('Hi', { done: false }), line('', { done: true }));
    expect(text).toContain('"content":"Hi"');
  });
});
