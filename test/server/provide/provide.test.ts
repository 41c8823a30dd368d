import { afterEach, describe, expect, it } from 'vitest';
import type { AnswerReport } from '../../../src/backend/backend.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import {
  CONTROL_DEAD_MS,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_PROTOCOL_OFFENCES,
  PROVIDE_REFRESH_MS,
  PROVIDE_RETRY_MS,
  PROVIDE_WINDOW_BYTES,
  PROVIDED_HEAD_MS,
  PROVIDED_IDLE_MS,
  RECONNECT_MAX_MS,
} from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { bytes, fakeBackend, Pair, quiet, REPORT, stream, texts, thinking } from './provide-pair.ts';

const pairs: Pair[] = [];
afterEach(async () => {
  for (const pair of pairs.splice(0)) {
    await pair.host.close();
    await quiet();
    expect(pair.timers.pending).toBe(0);
    expect(pair.nodes.size).toBe(0);
  }
});

async function joined(...args: ConstructorParameters<typeof Pair>): Promise<Pair> {
  const pair = new Pair(...args);
  pairs.push(pair);
  pair.host.start();
  await quiet();
  return pair;
}

const live = () => new AbortController().signal;
const context = (onAnswered: (report: AnswerReport) => void = () => {}, signal = live()) => ({
  signal,
  onAnswered,
});

describe('joining', () => {
  it('offers the models of the backend, and shows them as a node', async () => {
    const pair = await joined({
      backend: fakeBackend(
        () => texts(),
        () => ['a', 'b'],
      ),
      anyModel: true,
    });
    expect(pair.node).toMatchObject({
      name: 'box (custom)',
      lender: { id: 'provider-1', name: 'box' },
      maxConcurrent: 2,
      anyModel: true,
    });
    expect(await pair.node.backend.models(live())).toEqual([
      { id: 'a', created: 0, ownedBy: 'test' },
      { id: 'b', created: 0, ownedBy: 'test' },
    ]);
    expect(pair.offers).toEqual([{ models: ['a', 'b'] }]);
  });

  it('offers anew when the models change, withdraws while they cannot be listed, and says each failure once', async () => {
    let models = ['a'];
    let fails = false;
    const pair = await joined({
      backend: fakeBackend(
        () => texts(),
        () => {
          if (fails) throw new ShoalError('BACKEND_FAILED', 'it is down');
          return models;
        },
      ),
    });
    const first = pair.node.id;
    await pair.timers.advance(PROVIDE_REFRESH_MS);
    await quiet();
    expect(pair.node.id).toBe(first);
    models = ['a', 'b'];
    for (let ms = 0; ms < PROVIDE_REFRESH_MS; ms += CONTROL_PING_MS) {
      await pair.timers.advance(CONTROL_PING_MS);
      await quiet();
    }
    expect(await pair.node.backend.models(live())).toHaveLength(2);
    fails = true;
    for (let ms = 0; ms < 2 * PROVIDE_REFRESH_MS; ms += CONTROL_PING_MS) {
      await pair.timers.advance(CONTROL_PING_MS);
      await quiet();
    }
    expect(pair.nodes.size).toBe(0);
    expect(pair.offers.filter((offer) => 'error' in (offer as object))).toHaveLength(1);
    fails = false;
    await pair.timers.advance(PROVIDE_RETRY_MS);
    await quiet();
    expect(pair.nodes.size).toBe(1);
  });

  it('presents its key, and does not come back when the key does not count', async () => {
    const keys: (string | undefined)[] = [];
    const session = {
      authorize: async (key: string | undefined) => {
        keys.push(key);
        return key === 'sk-right';
      },
    };
    const right = await joined(
      { backend: fakeBackend(() => texts()) },
      { session, host: { key: new Secret('sk-right') } },
    );
    expect(right.nodes.size).toBe(1);
    const wrong = await joined({ backend: fakeBackend(() => texts()) }, { session });
    await wrong.timers.advance(10 * RECONNECT_MAX_MS);
    await quiet();
    expect(keys).toEqual(['sk-right', undefined]);
    expect(wrong.states).toEqual(['connecting', 'greeting', 'refused']);
    expect(wrong.errors[0]).toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('--key'),
    });
  });

  it('is refused for good where the operator wants none', async () => {
    const pair = await joined({ backend: fakeBackend(() => texts()) }, { session: { isTaking: false } });
    expect(pair.nodes.size).toBe(0);
    expect(pair.states.at(-1)).toBe('refused');
    expect(pair.errors.at(-1)).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('--no-providers'),
    });
  });

  it('is sent away when its key is taken back, and does not come back', async () => {
    let isValid = true;
    const pair = await joined(
      { backend: fakeBackend(() => texts()) },
      {
        session: { authorize: (key) => isValid && key === 'sk-right' },
        host: { key: new Secret('sk-right') },
      },
    );
    await pair.timers.advance(CONTROL_PING_MS);
    await quiet();
    expect(pair.nodes.size).toBe(1);
    isValid = false;
    await pair.timers.advance(CONTROL_PING_MS);
    await quiet();
    expect(pair.nodes.size).toBe(0);
    expect(pair.states.at(-1)).toBe('refused');
    expect(pair.errors.at(-1)).toMatchObject({ code: 'UNAUTHORIZED' });
  });

  it('is tried again later where the server is full', async () => {
    let free = false;
    const pair = await joined({ backend: fakeBackend(() => texts()) }, { session: { admit: () => free } });
    expect(pair.errors[0]).toMatchObject({ code: 'OVERLOADED' });
    free = true;
    await pair.timers.advance(RECONNECT_MAX_MS);
    await quiet();
    expect(pair.nodes.size).toBe(1);
  });

  it('ends who says nothing, something else, or nonsense again and again', async () => {
    const silent = await joined({ backend: fakeBackend(() => texts()) });
    const { session } = silent;
    for (let i = 0; i < MAX_PROTOCOL_OFFENCES; i++) session!.received(i % 2 === 0 ? '{' : null);
    await quiet();
    expect(silent.fromServer.filter(({ type }) => type === 'error')).toHaveLength(MAX_PROTOCOL_OFFENCES);
    expect(silent.nodes.size).toBe(0);

    const mute = new Pair({ backend: fakeBackend(() => texts()) }, { host: { name: 'x'.repeat(65) } });
    pairs.push(mute);
    mute.host.start();
    await quiet();
    expect(mute.fromServer[0]).toMatchObject({ type: 'error', fatal: true });
    await mute.timers.advance(HELLO_DEADLINE_MS);
    expect(mute.nodes.size).toBe(0);
  });
});

describe('an answer', () => {
  it('streams through, with the provider’s own count', async () => {
    const pair = await joined({
      backend: fakeBackend((_body, { onAnswered }) => {
        onAnswered?.(REPORT);
        return texts('data: {"a":1}\n\n', 'data: [DONE]\n\n');
      }),
    });
    const reports: AnswerReport[] = [];
    const response = await pair.node.backend.chatCompletions(
      { model: 'm' },
      context((r) => reports.push(r)),
    );
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(await response.text()).toBe('data: {"a":1}\n\ndata: [DONE]\n\n');
    expect(reports).toEqual([
      expect.objectContaining({ outcome: 'stop', promptTokens: 3, completionTokens: 2 }),
    ]);
  });

  it('that is whole keeps its status and its Retry-After', async () => {
    const pair = await joined({
      backend: fakeBackend(() =>
        Response.json({ error: { message: 'slow down' } }, { status: 429, headers: { 'retry-after': '7' } }),
      ),
    });
    const response = await pair.node.backend.completions({ model: 'm' }, context());
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '7']);
    expect(await response.json()).toEqual({ error: { message: 'slow down' } });
  });

  it('to a body of a megabyte', async () => {
    const pair = await joined({
      backend: fakeBackend((body) => Response.json({ length: (body as { text: string }).text.length })),
    });
    const text = 'é'.repeat(500_000);
    const response = await pair.node.backend.chatCompletions({ model: 'm', text }, context());
    expect(await response.json()).toEqual({ length: 500_000 });
  });

  it('arrives whole where the backend cuts characters and events anywhere', async () => {
    const event = `data: ${JSON.stringify({ text: '水💧é'.repeat(40_000) })}\n\n`;
    const all = bytes(event);
    const cuts = [0, 8, 19, 25, 26, 100_001, 100_002, 300_003, all.length];
    const pieces = cuts.slice(1).map((end, i) => all.subarray(cuts[i], end));
    const pair = await joined({ backend: fakeBackend(() => texts(...pieces)) });
    const response = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    expect(await response.text()).toBe(event);
  });

  it('fails as the backend fails, without its address', async () => {
    const pair = await joined({
      backend: fakeBackend((body) => {
        const { model } = body as { model: string };
        if (model === 'none') throw new ShoalError('MODEL_NOT_FOUND', 'no such model', { param: 'model' });
        throw new ShoalError('BACKEND_FAILED', 'the backend at http://10.0.0.5:8000 refused');
      }),
      hidden: ['http://10.0.0.5:8000'],
    });
    await expect(pair.node.backend.chatCompletions({ model: 'none' }, context())).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      param: 'model',
      message: 'no such model',
    });
    await expect(pair.node.backend.chatCompletions({ model: 'm' }, context())).rejects.toMatchObject({
      code: 'BACKEND_FAILED',
      message: 'the backend at its address refused',
    });
    expect(JSON.stringify(pair.fromProvider)).not.toContain('10.0.0.5');
  });

  it('beyond what the provider takes at once is refused with 429', async () => {
    const pair = await joined({
      backend: fakeBackend(thinking),
      maxConcurrent: 1,
    });
    const first = pair.node.backend.chatCompletions({ model: 'm' }, context());
    first.catch(() => {});
    await quiet();
    await expect(pair.node.backend.chatCompletions({ model: 'm' }, context())).rejects.toMatchObject({
      code: 'OVERLOADED',
      httpStatus: 429,
      retryAfterSeconds: expect.any(Number),
    });
  });
});

describe('flow control', () => {
  it('a client that does not read stops the backend within the window, and reading goes on', async () => {
    const event = `data: ${'x'.repeat(9_992)}\n\n`;
    let pulled = 0;
    const total = 200;
    const pair = await joined({
      backend: fakeBackend(() =>
        stream(
          new ReadableStream(
            {
              pull(controller) {
                if (pulled === total) return controller.close();
                pulled += 1;
                controller.enqueue(bytes(event));
              },
            },
            { highWaterMark: 0 },
          ),
        ),
      ),
    });
    const response = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    await quiet();
    const sent = () => pair.of('chunk').reduce((sum, { data }) => sum + bytes(data).length, 0);
    // The window, and what sseBody and its reader took out of it.
    expect(sent()).toBeLessThanOrEqual(PROVIDE_WINDOW_BYTES + 4 * event.length);
    expect(pulled).toBeLessThan(total / 4);
    const stoppedAt = pulled;
    await quiet();
    expect(pulled).toBe(stoppedAt);
    expect(await response.text()).toBe(event.repeat(total));
    expect(pulled).toBe(total);
  });

  it.each([
    ['an error', '{"type":"end","request":1,"error":{"code":"UNAUTHORIZED","message":"your key is bad"}}'],
    ['a status', '{"type":"head","request":1,"status":401,"contentType":"application/json"}'],
  ])('%s of keys says nothing of the client’s own, which the provider never saw', async (_what, message) => {
    const pair = await joined({ backend: fakeBackend(thinking) });
    const answer = pair.node.backend.chatCompletions({ model: 'm' }, context());
    answer.catch(() => {});
    await quiet();
    pair.session!.received(message);
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
  });

  it('a provider that sends more than its credit is cut off', async () => {
    const pair = await joined({ backend: fakeBackend(thinking) });
    const answer = pair.node.backend.chatCompletions({ model: 'm' }, context());
    answer.catch(() => {});
    await quiet();
    pair.session!.received('{"type":"head","request":1,"status":200,"contentType":"application/json"}');
    const data = 'x'.repeat(PROVIDE_WINDOW_BYTES / 2 + 1);
    // Nobody holds a whole answer back, so each half is read and paid for; the third comes before its credit.
    for (let i = 0; i < 3; i++) pair.session!.received(JSON.stringify({ type: 'chunk', request: 1, data }));
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
    expect(pair.fromServer.at(-1)).toMatchObject({ type: 'error', error: { code: 'PROTOCOL_INVALID' } });
  });
});

describe('hanging up', () => {
  it('before the answer reaches the backend', async () => {
    let signal: AbortSignal | undefined;
    const pair = await joined({
      backend: fakeBackend((_body, given) => {
        signal = given.signal;
        return new Promise<Response>(() => {});
      }),
    });
    const client = new AbortController();
    const reports: AnswerReport[] = [];
    const answer = pair.node.backend.chatCompletions(
      { model: 'm' },
      context((r) => reports.push(r), client.signal),
    );
    answer.catch(() => {});
    await quiet();
    client.abort();
    await expect(answer).rejects.toMatchObject({ code: 'ABORTED' });
    await quiet();
    expect(signal!.aborted).toBe(true);
    expect(reports).toEqual([expect.objectContaining({ outcome: 'aborted' })]);
  });

  it('in mid-stream cancels the backend’s stream, and nothing more is sent', async () => {
    let cancelled = false;
    const pair = await joined({
      backend: fakeBackend(() =>
        stream(
          new ReadableStream({
            start: (controller) => controller.enqueue(bytes('data: 1\n\n')),
            cancel() {
              cancelled = true;
            },
          }),
        ),
      ),
    });
    const reports: AnswerReport[] = [];
    const response = await pair.node.backend.chatCompletions(
      { model: 'm' },
      context((r) => reports.push(r)),
    );
    await response.body!.cancel();
    await quiet();
    expect(pair.fromServer.filter(({ type }) => type === 'cancel')).toHaveLength(1);
    expect(reports).toEqual([expect.objectContaining({ outcome: 'aborted' })]);
    expect(pair.host.inFlight).toBe(0);
    expect(cancelled).toBe(true);
    expect(pair.of('end')).toEqual([]);
  });
});

describe('a provider that is lost', () => {
  it('before the answer: the call fails, so that another node may be tried', async () => {
    const pair = await joined({ backend: fakeBackend(thinking) });
    const answer = pair.node.backend.chatCompletions({ model: 'm' }, context());
    answer.catch(() => {});
    await quiet();
    pair.cut();
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
    expect(pair.nodes.size).toBe(0);
  });

  it('in mid-stream: whole events, an error event, and the end', async () => {
    const pair = await joined({
      backend: fakeBackend(() =>
        stream(
          new ReadableStream({
            start(controller) {
              controller.enqueue(bytes('data: {"a":1}\n\n'));
              controller.enqueue(bytes('data: {"half'));
            },
          }),
        ),
      ),
    });
    const reports: AnswerReport[] = [];
    const response = await pair.node.backend.chatCompletions(
      { model: 'm' },
      context((r) => reports.push(r)),
    );
    const text = response.text();
    await quiet();
    pair.cut();
    const events = (await text).split('\n\n');
    expect(events[0]).toBe('data: {"a":1}');
    expect(JSON.parse(events[1]!.slice(6))).toMatchObject({ error: { code: 'backend_failed' } });
    expect(events).toHaveLength(3);
    expect(reports).toEqual([expect.objectContaining({ outcome: 'error' })]);
  });

  it('comes back by itself and offers again', async () => {
    const pair = await joined({ backend: fakeBackend(() => texts('data: 1\n\n')) });
    pair.cut();
    await quiet();
    expect(pair.nodes.size).toBe(0);
    await pair.timers.advance(RECONNECT_MAX_MS);
    await quiet();
    const response = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    expect(await response.text()).toBe('data: 1\n\n');
  });

  it('is noticed by both sides when the network says nothing', async () => {
    const pair = await joined({ backend: fakeBackend(() => texts()) });
    for (let ms = 0; ms < 4 * CONTROL_DEAD_MS; ms += CONTROL_PING_MS) {
      await pair.timers.advance(CONTROL_PING_MS);
      await quiet();
    }
    expect([pair.nodes.size, pair.errors.length]).toEqual([1, 0]);
    await pair.timers.advance(2 * CONTROL_DEAD_MS);
    expect(pair.errors[0]).toMatchObject({ message: expect.stringContaining('silent for 25 s') });
    expect(pair.nodes.size).toBe(0);
  });

  it('is not waited for without end', async () => {
    let begins = false;
    const pair = await joined({
      backend: fakeBackend((...call) =>
        begins
          ? stream(new ReadableStream({ start: (c) => c.enqueue(bytes('data: 1\n\n')) }))
          : thinking(...call),
      ),
    });
    const never = pair.node.backend.chatCompletions({ model: 'm' }, context());
    never.catch(() => {});
    await quiet();
    pair.clock.advance(PROVIDED_HEAD_MS);
    await expect(never).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    begins = true;
    const response = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    const text = response.text();
    await quiet();
    pair.clock.advance(PROVIDED_IDLE_MS);
    expect(await text).toContain('"code":"deadline_exceeded"');
    await quiet();
    expect(pair.host.inFlight).toBe(0);
  });
});

describe('leaving and changing', () => {
  it('a drain takes the offer back, finishes what runs, and refuses the rest', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void writer.write(bytes('data: 1\n\n'));
    const pair = await joined({ backend: fakeBackend(() => stream(readable)) });
    const response = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    let drained = false;
    const draining = pair.host.drain(live()).then(() => {
      drained = true;
    });
    await quiet();
    expect([pair.nodes.size, drained]).toEqual([0, false]);
    void writer.write(bytes('data: 2\n\n'));
    void writer.close();
    expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n');
    await draining;
  });

  it('another backend takes new requests, and the old one ends what it began', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void writer.write(bytes('data: old\n\n'));
    const old = fakeBackend(() => stream(readable));
    const pair = await joined({ backend: old });
    const running = await pair.node.backend.chatCompletions({ model: 'm' }, context());
    pair.host.replace({
      backend: fakeBackend(
        () => texts('data: new\n\n'),
        () => ['n'],
      ),
      maxConcurrent: 3,
      anyModel: false,
      hidden: [],
    });
    await quiet();
    expect(pair.node.maxConcurrent).toBe(3);
    const response = await pair.node.backend.chatCompletions({ model: 'n' }, context());
    expect(await response.text()).toBe('data: new\n\n');
    expect(old.closed).toBe(0);
    void writer.close();
    expect(await running.text()).toBe('data: old\n\n');
    await quiet();
    expect(old.closed).toBe(1);
  });
});
