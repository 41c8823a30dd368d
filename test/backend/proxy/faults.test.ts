/**
 * What backends do wrong, over real sockets: each fault ends in the asserted error, as a status before the first event and as
 * an event after it; never in silence, a second request, or a connection that stays.
 */
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import {
  createGuardedFetch,
  type GuardedFetch,
  type Resolve,
} from '../../../src/backend/proxy/guarded-fetch.ts';
import { MAX_UPSTREAM_BODY_BYTES } from '../../../src/config/limits.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { chunked, EVENTS_HEAD, head, LAST_CHUNK, RawServer, whole } from '../../support/raw-server.ts';
import { chunk, event } from '../../support/upstream-server.ts';

const timeouts = { connect: 300, firstByte: 300, idle: 300 };

let raw: RawServer;
let url: string;
let guarded: GuardedFetch;
let backend: Backend;
let api: ApiServer;

beforeAll(async () => {
  api = await serveApi(() => backend);
});
afterAll(() => api.close());
beforeEach(async () => {
  raw = new RawServer();
  url = await raw.listen();
  use(url);
});
afterEach(async () => {
  await backend.close();
  await guarded.close();
  await raw.close();
});

function use(target: string, resolve?: Resolve, limits = timeouts): void {
  guarded = createGuardedFetch({
    allowAddresses: [],
    connectMs: timeouts.connect,
    ...(resolve && { resolve }),
  });
  backend = createCustomBackend({ url: target, timeouts: limits }, { fetch: guarded.fetch });
}

interface Outcome {
  readonly status: number;
  /** Of the error's body, or of the error event. */
  readonly code: string | undefined;
  readonly message: string;
  readonly param: string | null | undefined;
  /** What came of the answer before. */
  readonly text: string;
  readonly done: boolean;
}

async function ask(stream: boolean, extra: object = {}): Promise<Outcome> {
  const response = await fetch(`${api.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [], stream, ...extra }),
  });
  const body = new TextDecoder('utf-8', { fatal: true }).decode(await response.arrayBuffer());
  const isEvents = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const values = isEvents
    ? body
        .split('\n\n')
        .filter((block) => block.startsWith('data: {'))
        .map((block) => JSON.parse(block.slice(6)))
    : [JSON.parse(body)];
  const error = values.find((value) => 'error' in value)?.error;
  return {
    status: response.status,
    code: error?.code,
    message: error?.message ?? '',
    param: error?.param,
    text: values
      .map(({ choices }) => choices?.[0]?.delta?.content ?? choices?.[0]?.message?.content ?? '')
      .join(''),
    done: body.endsWith('data: [DONE]\n\n'),
  };
}

const HELLO = event(chunk('Hello'));
const END = event(chunk('', 'stop'));
const DONE = 'data: [DONE]\n\n';
const ANSWER = JSON.stringify({
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
});
/** The head of an event stream, then each piece as a chunk. */
const says =
  (...pieces: (string | Uint8Array)[]) =>
  (socket: Socket) => {
    socket.write(EVENTS_HEAD);
    for (const piece of pieces) socket.write(chunked(piece));
  };
const saysAndEnds =
  (...pieces: (string | Uint8Array)[]) =>
  (socket: Socket) => {
    says(...pieces)(socket);
    socket.end(LAST_CHUNK);
  };
const sends = (bytes: string | Uint8Array) => (socket: Socket) => void socket.end(bytes);
/** Made before the request comes: 100 MB take longer than the deadlines of these tests. */
function compressed(body: string) {
  const bytes = gzipSync(body, { level: 1 });
  return (socket: Socket) => {
    socket.write(
      head('200 OK', {
        'content-type': 'text/event-stream',
        'content-encoding': 'gzip',
        'content-length': bytes.length,
      }),
    );
    socket.write(bytes);
  };
}
const megabytes = (n: number) => 'x'.repeat(n * 1024 * 1024);

/** Nothing of the request is left at the backend, and it was asked once. */
async function expectCleanUp(requests = 1): Promise<void> {
  await expect.poll(() => raw.open, { timeout: 5_000 }).toBe(0);
  expect(raw.requests).toBe(requests);
}

type Fault = [name: string, script: (socket: Socket) => unknown, expected: Partial<Outcome>, says: RegExp];

describe('before the first event, a status', () => {
  it('nobody listens', async () => {
    await raw.close();
    for (const stream of [false, true]) {
      expect(await ask(stream)).toMatchObject({
        status: 502,
        code: 'backend_failed',
        message: expect.stringContaining('ECONNREFUSED'),
      });
    }
  });

  it('the name has no address', async () => {
    use('http://nowhere.example', (_host, _options, done) =>
      done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []),
    );
    expect(await ask(true)).toMatchObject({
      status: 502,
      code: 'backend_failed',
      message: expect.stringContaining('ENOTFOUND'),
    });
  });

  it('the name service does not answer', async () => {
    use('http://nowhere.example', () => {});
    expect(await ask(true)).toMatchObject({ status: 504, code: 'deadline_exceeded' });
  });

  it('the name leads to a private address', async () => {
    use('http://inside.example', (_host, _options, done) => done(null, [{ address: '10.0.0.7', family: 4 }]));
    expect(await ask(true)).toMatchObject({
      status: 502,
      code: 'address_refused',
      message: expect.stringContaining('allow_addresses: ["10.0.0.7"]'),
    });
  });

  const faults: Fault[] = [
    ['no headers', () => {}, { status: 504, code: 'deadline_exceeded' }, /silent for 0\.3 s/],
    ['half the headers', (s) => s.write('HTTP/1.1 200 OK\r\ncontent-ty'), { status: 504 }, /silent/],
    ['headers, and no event', says(), { status: 504, code: 'deadline_exceeded' }, /silent/],
    ['only comments', dripping(': still thinking\n\n'), { status: 504 }, /silent/],
    ['an event in drops that never ends', dripping('data: x'), { status: 504 }, /silent/],
    ['a reset', (s) => s.resetAndDestroy(), { status: 502, code: 'backend_failed' }, /broke off/],
    ['an end without a byte', (s) => s.end(), { status: 502 }, /broke off/],
    [
      'a reset after the headers',
      (s) => s.write(EVENTS_HEAD, () => s.resetAndDestroy()),
      { status: 502 },
      /broke off/,
    ],
    ['a stream that ends before its first event', saysAndEnds(), { status: 502 }, /in the middle/],
    ['no HTTP', sends('SSH-2.0-OpenSSH_9.6\r\n'), { status: 502 }, /no HTTP\/1\.1/],
    ['endless headers', sends(`HTTP/1.1 200 OK\r\nx: ${megabytes(1)}`), { status: 502 }, /HEADERS_OVERFLOW/],
    ['a broken first event', says('data: {"choices": [\n\n'), { status: 502 }, /not a JSON object/],
    ['a first event that is no object', says('data: 7\n\n'), { status: 502 }, /not a JSON object/],
    [
      'an error event first',
      says(event({ error: { message: 'CUDA out of memory' } })),
      { status: 502 },
      /failed: CUDA out of memory/,
    ],
    [
      'an error text first',
      says(event({ error: 'CUDA out of memory' })),
      { status: 502 },
      /failed: CUDA out of memory/,
    ],
    [
      'an error event that means a status',
      says(
        event({ error: { code: 400, message: 'the prompt is too long', type: 'exceed_context_size_error' } }),
      ),
      { status: 400 },
      /^the prompt is too long$/,
    ],
    ['a line of 10 MB', says(`data: ${megabytes(10)}`), { status: 502 }, /event of more than 1048576 bytes/],
    [
      'another content type',
      sends(whole('200 OK', 'text/html', '<p>Hello</p>')),
      { status: 502 },
      /text\/html; it must speak/,
    ],
    [
      'an answer that is no stream',
      sends(whole('200 OK', 'application/json', ANSWER)),
      { status: 502 },
      /application\/json/,
    ],
    [
      '500',
      sends(whole('500 Internal Server Error', 'text/plain', 'boom')),
      { status: 502, code: 'backend_failed' },
      /answered 500: boom/,
    ],
    [
      '502 of a gateway',
      sends(whole('502 Bad Gateway', 'text/html', '<html><title>502 Bad Gateway</title>')),
      { status: 502 },
      /answered 502: 502 Bad Gateway/,
    ],
    [
      '503',
      sends(
        whole('503 Unavailable', 'application/json', '{"error":{"message":"loading"}}', {
          'retry-after': '9',
        }),
      ),
      { status: 503, code: 'backend_unavailable' },
      /\(503\): loading/,
    ],
    [
      '504',
      sends(whole('504 Gateway Timeout', 'text/html', '<h1>')),
      { status: 504, code: 'deadline_exceeded' },
      /\(504\)/,
    ],
    [
      '529',
      sends(whole('529 Overloaded', 'application/json', '{"error":{"message":"overloaded"}}')),
      { status: 503 },
      /overloaded/,
    ],
    [
      'a redirect to a private address',
      sends(head('307 Temporary Redirect', { location: 'http://169.254.169.254/v1', 'content-length': 0 })),
      { status: 502, code: 'backend_failed' },
      /redirect \(307\), which is not followed/,
    ],
    [
      'a wrong key',
      sends(whole('401 Unauthorized', 'application/json', '{"error":"Unauthorized"}')),
      { status: 502, code: 'backend_failed' },
      /asks for a key \(401\)/,
    ],
    ['broken chunks', (s) => s.write(`${EVENTS_HEAD}zz\r\nhello\r\n`), { status: 502 }, /no HTTP\/1\.1/],
    [
      'compressed garbage',
      sends(
        `${head('200 OK', {
          'content-type': 'text/event-stream',
          'content-encoding': 'gzip',
          'content-length': 4,
        })}data`,
      ),
      { status: 502 },
      /broke off/,
    ],
  ];

  it.each(faults)('%s', async (_, script, expected, message) => {
    raw.script = script;
    const outcome = await ask(true);
    expect(outcome).toMatchObject(expected);
    expect(outcome.message).toMatch(message);
    await expectCleanUp();
  });
});

/** An event stream that drips the text, over and over. */
function dripping(text: string) {
  return (socket: Socket) => {
    socket.write(EVENTS_HEAD);
    const timer = setInterval(() => socket.write(chunked(text)), 20);
    socket.on('close', () => clearInterval(timer));
  };
}

describe('after the first event, an event', () => {
  const faults: [name: string, script: (socket: Socket) => unknown, code: string, says: RegExp][] = [
    ['silence', says(HELLO), 'deadline_exceeded', /silent for 0\.3 s/],
    [
      'an event in drops that never ends',
      (s) => {
        says(HELLO)(s);
        const timer = setInterval(() => s.write(chunked('x')), 20);
        s.on('close', () => clearInterval(timer));
      },
      'deadline_exceeded',
      /silent/,
    ],
    [
      'a reset',
      (s) =>
        s.write(Buffer.concat([Buffer.from(EVENTS_HEAD), chunked(HELLO)]), () =>
          setTimeout(() => s.resetAndDestroy(), 50),
        ),
      'backend_failed',
      /broke off/,
    ],
    [
      'an end in the middle of a chunk',
      (s) => s.end(Buffer.concat([Buffer.from(EVENTS_HEAD), chunked(HELLO), Buffer.from('40\r\ndata: ')])),
      'backend_failed',
      /broke off/,
    ],
    ['an end without a finish reason', saysAndEnds(HELLO), 'backend_failed', /in the middle/],
    [
      'half an event at the end',
      saysAndEnds(HELLO, 'data: {"choices":[{"del'),
      'backend_failed',
      /not a JSON object/,
    ],
    ['broken JSON', says(HELLO, 'data: {"choices"\n\n', END, DONE), 'backend_failed', /not a JSON object/],
    ['a line of 10 MB', says(HELLO, `data: ${megabytes(10)}`), 'backend_failed', /event of more than/],
    [
      'broken chunks',
      (s) => {
        says(HELLO)(s);
        s.write('zz\r\nhello\r\n');
      },
      'backend_failed',
      /no HTTP\/1\.1/,
    ],
    [
      'its own error',
      says(HELLO, event({ error: { message: 'preempted', code: 'x' } }), HELLO),
      'x',
      /^preempted$/,
    ],
    [
      'a compressed bomb',
      compressed(`${HELLO}data: ${megabytes(100)}`),
      'backend_failed',
      /event of more than/,
    ],
  ];

  it.each(faults)('%s', async (_, script, code, message) => {
    raw.script = script;
    const outcome = await ask(true);
    expect(outcome).toMatchObject({ status: 200, text: 'Hello', code, done: false });
    expect(outcome.message).toMatch(message);
    await expectCleanUp();
  });

  it('fewer choices than asked for are told of at the end, by the parameter’s name', async () => {
    raw.script = saysAndEnds(HELLO, END, DONE);
    expect(await ask(true, { n: 3 })).toMatchObject({
      text: 'Hello',
      code: 'unsupported_parameter',
      param: 'n',
      message: expect.stringContaining('1 of the 3'),
      done: false,
    });
  });

  it('missing log probabilities are told of when a choice ends', async () => {
    raw.script = saysAndEnds(HELLO, END, DONE);
    expect(await ask(true, { logprobs: true })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'logprobs',
      done: false,
    });
  });
});

describe('clients', () => {
  /** An endless stream; says how much of it the other side has taken. */
  function endless() {
    const state = { taken: () => 0 };
    raw.script = (socket) => {
      state.taken = () => socket.bytesWritten - socket.writableLength;
      socket.write(EVENTS_HEAD);
      const bytes = chunked(event(chunk('x'.repeat(64_000))));
      const fill = () => {
        while (!socket.destroyed && socket.write(bytes));
      };
      socket.on('drain', fill);
      fill();
    };
    return state;
  }
  const open = (signal?: AbortSignal) =>
    fetch(`${api.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [], stream: true }),
      ...(signal && { signal }),
    });

  it('that read slowly slow the backend down, and are not cut off for it', async () => {
    const stream = endless();
    const reader = (await open()).body!.getReader();
    await reader.read();
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = stream.taken() === before;
          before = stream.taken();
          return isStill;
        },
        { interval: timeouts.idle * 2, timeout: 10_000 },
      )
      .toBe(true);
    // The buffers of four sockets; unbounded, some hundred megabytes would have passed.
    expect(stream.taken()).toBeLessThan(64 * 1024 * 1024);
    const taken = stream.taken();
    // Silent for twice the idle deadline, which was the client's silence: the stream goes on.
    for (let read = 0; read < taken; ) {
      const { value, done } = await reader.read();
      expect(done).toBe(false);
      read += value!.length;
    }
    await expect.poll(() => stream.taken()).toBeGreaterThan(taken);
    await reader.cancel();
    await expectCleanUp();
  });

  it.each([
    ['before the first event', () => {}],
    ['in the middle', says(HELLO)],
  ])('that hang up %s leave nothing at the backend', async (_, script) => {
    // No deadline may do what the hang-up has to.
    use(url, undefined, { connect: 1_000, firstByte: 60_000, idle: 60_000 });
    raw.script = script;
    const abort = new AbortController();
    const call = open(abort.signal).then((response) => response.text());
    const ended = call.then(
      () => 'answered',
      () => 'aborted',
    );
    await expect.poll(() => raw.requests).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    abort.abort();
    expect(await ended).toBe('aborted');
    await expectCleanUp();
  });
});

describe('what is odd and not wrong', () => {
  const odd: [name: string, ...pieces: (string | Uint8Array)[]][] = [
    ['no [DONE]', HELLO, END],
    ['no blank line at the end', HELLO, END, 'data: [DONE]'],
    ['no finish reason, but [DONE]', HELLO, DONE],
    [
      'comments, names and empty events',
      ': hi\n\n',
      `event: message\nid: 1\n${HELLO}`,
      'data:\n\n',
      END,
      DONE,
    ],
    ['CR alone ends lines', HELLO.replaceAll('\n', '\r'), END.replaceAll('\n', '\r'), 'data: [DONE]\r\r'],
    ['no space behind the colon', HELLO.replace('data: ', 'data:'), END, 'data:[DONE]\n\n'],
    ['a usage chunk without choices', HELLO, END, event({ choices: [], usage: { prompt_tokens: 1 } }), DONE],
    ['a null error beside the choices', event({ ...chunk('Hello'), error: null }), END, DONE],
  ];
  it.each(odd)('%s', async (_, ...pieces) => {
    raw.script = saysAndEnds(...pieces);
    expect(await ask(true)).toMatchObject({ status: 200, text: 'Hello', code: undefined, done: true });
    expect(raw.requests).toBe(1);
  });

  it('broken UTF-8 becomes U+FFFD, so that what the client gets is UTF-8', async () => {
    const broken = Buffer.from(event(chunk('a?b')));
    broken[broken.indexOf('?')] = 0xff;
    raw.script = saysAndEnds(broken, END, DONE);
    expect(await ask(true)).toMatchObject({ status: 200, text: 'a\uFFFDb', done: true });
  });

  it('a stream that is compressed though nobody asked for it', async () => {
    raw.script = compressed(HELLO + END + DONE);
    expect(await ask(true)).toMatchObject({ status: 200, text: 'Hello', done: true });
  });

  it('a connection whose stream was read to the end serves the next request', async () => {
    raw.script = (socket) => {
      says(HELLO, END, DONE)(socket);
      socket.write(LAST_CHUNK);
    };
    for (let request = 0; request < 3; request++) expect((await ask(true)).done).toBe(true);
    await expect.poll(() => raw.requests).toBe(3);
    expect(raw.connections).toBeLessThan(3);
  });

  it('a backend that leaves the stream open behind [DONE] keeps nobody waiting', async () => {
    raw.script = says(HELLO, END, DONE);
    expect(await ask(true)).toMatchObject({ text: 'Hello', done: true });
    await expectCleanUp();
  });
});

describe('whole answers', () => {
  const json = (body: string) => whole('200 OK', 'application/json', body);
  const faults: Fault[] = [
    [
      'broken JSON',
      sends(json('{"choices": [')),
      { status: 502, code: 'backend_failed' },
      /not a JSON object/,
    ],
    ['no choices', sends(json('{"status": "ok"}')), { status: 502 }, /without choices/],
    [
      'an error with status 200',
      sends(json('{"error": {"message": "busy", "code": 429}}')),
      { status: 429 },
      /^busy$/,
    ],
    [
      'silence in the body',
      (s) => s.write(head('200 OK', { 'content-length': 99 })),
      { status: 504, code: 'deadline_exceeded' },
      /silent/,
    ],
    [
      'less than its Content-Length',
      sends(`${head('200 OK', { 'content-length': 9_999 })}${ANSWER}`),
      { status: 502 },
      /broke off/,
    ],
    [
      'more than its Content-Length',
      sends(`${head('200 OK', { 'content-length': 20 })}${ANSWER}`),
      { status: 502 },
      /not a JSON object/,
    ],
    [
      'a compressed bomb',
      compressed(`{"x": "${megabytes(100)}`),
      { status: 502 },
      new RegExp(`more than ${MAX_UPSTREAM_BODY_BYTES} bytes`),
    ],
    [
      'a reset in the body',
      (s) => s.write(head('200 OK', { 'content-length': 99 }), () => s.resetAndDestroy()),
      { status: 502 },
      /broke off/,
    ],
    [
      'FastAPI’s faults',
      sends(
        whole(
          '422 Unprocessable Entity',
          'application/json',
          JSON.stringify({
            detail: [{ loc: ['body', 'n'], msg: 'Input should be a valid integer', type: 'int_parsing' }],
          }),
        ),
      ),
      { status: 422, param: 'n' },
      /^n: Input should be/,
    ],
    [
      'vLLM’s older form',
      sends(
        whole(
          '400 Bad Request',
          'application/json',
          JSON.stringify({
            object: 'error',
            message: 'too long',
            type: 'BadRequestError',
            param: null,
            code: 400,
          }),
        ),
      ),
      { status: 400 },
      /^too long$/,
    ],
    [
      'a path that is not there',
      sends(whole('404 Not Found', 'application/json', '{"detail":"Not Found"}')),
      { status: 502 },
      /answered 404: Not Found; check that url/,
    ],
  ];
  it.each(faults)('%s', async (_, script, expected, message) => {
    raw.script = script;
    const outcome = await ask(false);
    expect(outcome).toMatchObject(expected);
    expect(outcome.message).toMatch(message);
    await expectCleanUp();
  });

  it.each([
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
  ])('do not pass for what was asked for without %s', async (param, asked) => {
    raw.script = sends(json(ANSWER));
    expect(await ask(false, asked)).toMatchObject({ status: 400, code: 'unsupported_parameter', param });
  });
});
