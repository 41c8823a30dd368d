/**
 * A real server process, killed and started again on the same port with the same --state, under workers that hold sequences and
 * go on meanwhile: the client's answer goes on too, with nothing loaded and nothing computed again.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runShoal, type ShoalRun } from '../../support/run-shoal.ts';
import { until } from '../../support/until.ts';
import { FakeWorker } from '../mesh/fake-worker.ts';
import { SseClient, type SseEvent } from './support.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const TOKENS = 80;
const BODY = {
  model: 'minnow',
  prompt: 'Once upon a time',
  max_tokens: TOKENS,
  temperature: 0,
  stream: true,
  // The fake model knows no end.
  ignore_eos: true,
};

let directory: string;
let port: number;
let run: ShoalRun;
let workers: FakeWorker[];
let isOver: boolean;

const url = () => `http://127.0.0.1:${port}`;

async function startServer(...args: string[]): Promise<void> {
  const fixed = ['--port', String(port), '--state', directory, '--drain-timeout', '0', '--min-stages', '2'];
  run = runShoal(['serve', ...fixed, ...args]);
  await until(() => /API http/.test(run.output.stderr) || run.child.exitCode !== null);
  if (run.child.exitCode !== null) throw new Error(`no server:\n${run.output.stderr}`);
}

/** As tabs do: again and again until the server is back. */
async function keepConnected(worker: FakeWorker): Promise<void> {
  while (!isOver && worker.isAlive) {
    await until(() => isOver || worker.closeCode !== null || !worker.isAlive);
    await delay(100);
    if (!isOver && worker.isAlive) await worker.reconnect().catch(() => {});
  }
}

async function joinWorkers(...names: string[]): Promise<void> {
  for (const name of names) {
    const worker = await FakeWorker.join(`ws://127.0.0.1:${port}/signal`, name);
    // A token every 30 ms, so that there is a middle to be killed in.
    worker.misbehaviour.onToken = (_worker, _token, send) => setTimeout(send, 30);
    workers.push(worker);
    void keepConnected(worker);
  }
  await untilReady();
}

async function untilReady(): Promise<void> {
  for (;;) {
    const ready = await fetch(`${url()}/health/ready`).catch(() => null);
    if (ready?.ok) return;
    await delay(50);
  }
}

async function kill(): Promise<void> {
  run.child.kill('SIGKILL');
  await run.ended;
}

/** Again and again until the server is back. */
async function ask(key: string, body: object = BODY, lastEventId?: string | null): Promise<Response> {
  for (;;) {
    const response = await fetch(`${url()}/v1/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': key,
        ...(lastEventId && { 'last-event-id': lastEventId }),
      },
      body: JSON.stringify(body),
    }).catch(() => null);
    if (response !== null) return response;
    await delay(100);
  }
}

const completionOf = (events: readonly SseEvent[]): string =>
  events
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data).choices?.[0]?.text ?? '')
    .join('');
const untouched = (events: readonly SseEvent[]) => events.slice(0, -2);
/** Positions that the workers have computed of all that they were asked. */
const computed = () =>
  workers.flatMap(({ sequences }) => [...sequences.values()].map((stage) => stage.computed));
const held = () => workers.map((worker) => worker.messages('hold').length);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
  workers = [];
  isOver = false;
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  port = (free.address() as { port: number }).port;
  await new Promise((resolve) => free.close(resolve));
  await startServer();
});
afterEach(async () => {
  isOver = true;
  for (const worker of workers) worker.kill();
  if (run.child.exitCode === null && run.child.signalCode === null) await kill();
  await rm(directory, { recursive: true, force: true });
});

describe('a server that is killed in mid-answer and started again', () => {
  it('goes on with the same events; nothing is computed or loaded again', async () => {
    await joinWorkers('a', 'b');
    const undisturbed = await new SseClient(await ask('calm')).rest();
    const client = new SseClient(await ask('storm'));
    const read = await client.take(10);
    const holds = held();
    const stages = workers.flatMap(({ sequences }) => [...sequences.values()]);
    expect(stages).toHaveLength(2);
    const positions = stages[0]!.open.promptTokens + TOKENS - 1;
    await kill();
    await client.rest().catch(() => {});
    // The workers go on.
    await delay(300);
    await startServer();
    const response = await ask('storm', BODY, read.at(-1)!.id);
    expect(response.status).toBe(200);
    const rest = await new SseClient(response).rest();
    const all = [...read, ...rest];
    expect(completionOf(all)).toBe(completionOf(undisturbed));
    expect(all).toHaveLength(undisturbed.length);
    expect(all.at(-1)!.data).toBe('[DONE]');
    expect(all.map(({ id }) => Number(id!.split('.')[1]))).toEqual(all.map((_, index) => index + 1));
    const heads = untouched(all).map(({ data }) => JSON.parse(data));
    expect(new Set(heads.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    expect(held()).toEqual(holds);
    expect(stages.map(({ computed }) => computed)).toEqual([positions, positions]);
    const last = JSON.parse(all.at(-2)!.data);
    expect(last.shoal.restarts).toBe(0);
  });

  it('goes on too where it is stopped in good order, and its client is told', async () => {
    await joinWorkers('a', 'b');
    const undisturbed = await new SseClient(await ask('calm')).rest();
    const client = new SseClient(await ask('storm'));
    const read = await client.take(10);
    const stages = workers.flatMap(({ sequences }) => [...sequences.values()]);
    run.child.kill('SIGTERM');
    const told = await client.rest();
    expect(told.at(-1)).toMatchObject({ id: null, data: expect.stringContaining('shutting_down') });
    read.push(...told.slice(0, -1));
    expect(await run.ended).toBe(0);
    await startServer();
    const rest = await new SseClient(await ask('storm', BODY, read.at(-1)!.id)).rest();
    expect(completionOf([...read, ...rest])).toBe(completionOf(undisturbed));
    const positions = stages[0]!.open.promptTokens + TOKENS - 1;
    expect(stages.map(({ computed }) => computed)).toEqual([positions, positions]);
  });

  it('begins anew what had no token yet, when its workers are back', async () => {
    await joinWorkers('a', 'b');
    const undisturbed = await new SseClient(await ask('calm')).rest();
    for (const worker of workers) worker.misbehaviour.open = 'silent';
    const opens = workers.map((worker) => worker.messages('open').length);
    void ask('storm');
    await until(() => workers.every((worker, index) => worker.messages('open').length > opens[index]!));
    await kill();
    for (const worker of workers) delete worker.misbehaviour.open;
    await startServer();
    const events = await new SseClient(await ask('storm')).rest();
    expect(completionOf(events)).toBe(completionOf(undisturbed));
  });

  it('twice, while the answer comes to its end unseen, is asked without a stream, and keeps what ended', async () => {
    await joinWorkers('a', 'b');
    const whole = { ...BODY, stream: false };
    const undisturbed = await (await ask('calm', whole)).json();
    const lost = fetch(`${url()}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'storm' },
      body: JSON.stringify(whole),
    }).catch(() => 'lost');
    await until(() => computed().some((positions) => positions > 20));
    await kill();
    expect(await lost).toBe('lost');
    await startServer();
    await delay(200);
    await kill();
    // Long enough for the rest of its tokens.
    await delay(TOKENS * 40);
    await startServer();
    const answer = await (await ask('storm', whole)).json();
    expect(answer.choices).toEqual(undisturbed.choices);
    expect(answer.usage).toEqual(undisturbed.usage);
    expect(answer.shoal.restarts).toBe(0);
    await until(() => workers.every(({ sequences }) => sequences.size === 0));
    await delay(200);
    await kill();
    await startServer();
    const again = await ask('storm', whole);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toEqual(answer);
    expect(await (await ask('calm', whole)).json()).toEqual(undisturbed);
  });

  it('has sequences that nobody asked to be kept forgotten by its workers', async () => {
    await joinWorkers('a', 'b');
    const gone = fetch(`${url()}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(BODY),
    }).then((response) => new SseClient(response).rest());
    gone.catch(() => {});
    await until(() => computed().some((positions) => positions > 20));
    await kill();
    await expect(gone).rejects.toThrow();
    expect(await readdir(join(directory, 'answers'))).toEqual([]);
    await startServer();
    await until(() => workers.every(({ sequences }) => sequences.size === 0));
    await untilReady();
    expect(completionOf(await new SseClient(await ask('new')).rest())).not.toBe('');
  });

  it('moves an answer that lost a worker meanwhile to another', async () => {
    await joinWorkers('a', 'b', 'c');
    const undisturbed = await new SseClient(await ask('calm')).rest();
    const client = new SseClient(await ask('storm'));
    const read = await client.take(10);
    const victim = workers.find(({ sequences }) => sequences.size > 0)!;
    await kill();
    victim.kill();
    await delay(100);
    await startServer();
    const rest = await new SseClient(await ask('storm', BODY, read.at(-1)!.id)).rest();
    expect(completionOf([...read, ...rest])).toBe(completionOf(undisturbed));
  });
});
