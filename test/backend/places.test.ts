import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { createFxnBackend } from '../../src/backend/fxn/fxn.ts';
import { createOllamaBackend } from '../../src/backend/ollama/ollama.ts';
import { NodePool } from '../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../src/backend/proxy/custom.ts';
import { createVllmBackend } from '../../src/backend/proxy/vllm.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { FakeGenerator, fails, says, stallsAfter } from '../support/fake-generator.ts';
import { fakeModel } from '../support/fake-model.ts';
import { until } from '../support/until.ts';
import { chunk, UpstreamServer } from '../support/upstream-server.ts';

/**
 * The router counts on each backend to report the end of every answer that it began: a place that is not given back is lost
 * for good.
 */

type Course = 'ends' | 'breaks' | 'stalls';

interface Bench {
  readonly backend: Backend;
  play(course: Course): void;
  close(): Promise<void>;
}

const timeouts = { connect: 1_000, firstByte: 10_000, idle: 10_000 };

async function openAiBench(create: typeof createCustomBackend): Promise<Bench> {
  const server = new UpstreamServer();
  const backend = create({ url: await server.listen(), timeouts });
  return {
    backend,
    play(course) {
      server.handler = (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`data: ${JSON.stringify(chunk('a'))}\n\n`);
        if (course === 'ends') response.end(`data: ${JSON.stringify(chunk('', 'stop'))}\n\ndata: [DONE]\n\n`);
        if (course === 'breaks') setTimeout(() => response.destroy(), 20);
      };
    },
    close: () => server.close(),
  };
}

async function ollamaBench(): Promise<Bench> {
  const server = new UpstreamServer();
  const line = (content: string, more: object = {}) =>
    `${JSON.stringify({ model: 'fake', created_at: '2024-01-01T00:00:00Z', message: { role: 'assistant', content }, done: false, ...more })}\n`;
  return {
    backend: createOllamaBackend({ url: await server.listen(), timeouts }),
    play(course) {
      server.handler = (response) => {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        response.write(line('a'));
        if (course === 'ends')
          response.end(line('', { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 1 }));
        if (course === 'breaks') setTimeout(() => response.destroy(), 20);
      };
    },
    close: () => server.close(),
  };
}

async function fxnBench(): Promise<Bench> {
  const generator = new FakeGenerator(says('a'));
  return {
    backend: createFxnBackend({
      generator,
      model: fakeModel,
      readiness: () => ({ ready: true, detail: '' }),
    }),
    play(course) {
      generator.script = {
        ends: says('a'),
        breaks: fails(new ShoalError('PIPELINE_LOST', 'gone'), 'a'),
        stalls: stallsAfter('a'),
      }[course];
    },
    close: async () => {},
  };
}

describe.each([
  ['custom', () => openAiBench(createCustomBackend)],
  ['vllm', () => openAiBench(createVllmBackend)],
  ['ollama', ollamaBench],
  ['fxn', fxnBench],
] as const)('on %s a place is given back', (_, open) => {
  let bench: Bench;
  let pool: NodePool;
  let routed: Backend;

  beforeEach(async () => {
    bench = await open();
    pool = new NodePool();
    pool.add({ id: 'n', name: 'n', backend: bench.backend, maxConcurrent: 4, anyModel: true });
    routed = createRoutedBackend({ pool, provider: 'custom' });
  });
  afterEach(async () => {
    await routed.close();
    await bench.close();
  });

  const inFlight = () => pool.statuses()[0]!.inFlight;
  const ask = (hangUp = new AbortController(), stream = true) =>
    routed.chatCompletions(
      { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], stream },
      { signal: hangUp.signal },
    );

  it('when the answer was read to its end', async () => {
    bench.play('ends');
    const response = await ask();
    expect(inFlight()).toBe(1);
    expect(await response.text()).toContain('[DONE]');
    await until(() => inFlight() === 0);
  });

  it('when the stream breaks off', async () => {
    bench.play('breaks');
    expect(await (await ask()).text()).toContain('"error"');
    await until(() => inFlight() === 0);
  });

  it('when the body is cancelled', async () => {
    bench.play('stalls');
    const response = await ask();
    await response.body!.cancel();
    await until(() => inFlight() === 0);
  });

  it('when the client is gone and nobody cancels the body', async () => {
    bench.play('stalls');
    const hangUp = new AbortController();
    await ask(hangUp);
    hangUp.abort();
    await until(() => inFlight() === 0);
  });

  it('when the pool is closed under it', async () => {
    bench.play('stalls');
    const reading = (await ask()).text();
    await routed.close();
    expect(await reading).toContain('"error"');
    await until(() => inFlight() === 0);
  });

  it('when a request is not even one', async () => {
    await expect(routed.chatCompletions({}, { signal: new AbortController().signal })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(inFlight()).toBe(0);
  });
});
