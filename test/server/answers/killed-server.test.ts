/**
 * A real server process, killed and started again on the same port with the same --state, under workers that hold sequences and
 * go on meanwhile: the client's answer goes on too, with nothing loaded and nothing computed again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runShoal, type ShoalRun } from '../../support/run-shoal.ts';
import { until } from '../../support/until.ts';
import { FakeWorker } from '../mesh/fake-worker.ts';
import { SseClient, type SseEvent } from './support.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const TOKENS = 40;
const BODY = {
  model: 'minnow',
  prompt: 'Once upon a time',
  max_tokens: TOKENS,
  temperature: 0,
  stream: true,
  // The fake model knows no end.
  ignore_eos: true,
};
/** Of an answer that has a middle: its tokens up to this position come, and the others when the test lets them. */
const MIDDLE = 24;
const SECOND_HALF = 32;

let directory: string;
let port: number;
let run: ShoalRun;
let workers: FakeWorker[];
let isOver: boolean;
/** What the answers are, undisturbed. */
let calm: SseEvent[];
let calmWhole: { choices: unknown; usage: unknown };
/** Positions that tokens come for. */
let upTo = Number.POSITIVE_INFINITY;
const waiting: { readonly position: number; readonly send: () => void }[] = [];

const url = () => `http://127.0.0.1:${port}`;

/** Tokens below the position come, at once and from now on. */
function letTokensCome(below: number): void {
  upTo = below;
  for (const one of waiting.splice(0)) {
    if (one.position < upTo) one.send();
    else waiting.push(one);
  }
}

async function startServer(): Promise<void> {
  const fixed = ['--port', String(port), '--state', directory, '--drain-timeout', '0', '--min-stages', '2'];
  run = runShoal(['serve', ...fixed]);
  await until(() => /API http/.test(run.output.stderr) || run.child.exitCode !== null);
  if (run.child.exitCode !== null) throw new Error(`no server:\n${run.output.stderr}`);
}

/** As tabs do: again and again until the server is back. */
async function keepConnected(worker: FakeWorker): Promise<void> {
  while (!isOver) {
    await until(() => isOver || worker.closeCode !== null);
    await delay(50);
    if (!isOver) await worker.reconnect().catch(() => {});
  }
}

async function untilReady(): Promise<void> {
  for (;;) {
    const ready = await fetch(`${url()}/health/ready`).catch(() => null);
    if (ready?.ok) return;
    await delay(20);
  }
}

async function kill(): Promise<void> {
  run.child.kill('SIGKILL');
  await run.ended;
}

const post = (body: object, headers: Record<string, string> = {}) =>
  fetch(`${url()}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

/** Again and again until the server is back. */
async function ask(key: string, body: object = BODY, lastEventId?: string | null): Promise<Response> {
  for (;;) {
    const headers = { 'idempotency-key': key, ...(lastEventId && { 'last-event-id': lastEventId }) };
    const response = await post(body, headers).catch(() => null);
    if (response !== null) return response;
    await delay(50);
  }
}

const completionOf = (events: readonly SseEvent[]): string =>
  events
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data).choices?.[0]?.text ?? '')
    .join('');
const untouched = (events: readonly SseEvent[]) => events.slice(0, -2);
const stages = () => workers.flatMap(({ sequences }) => [...sequences.values()]);
const held = () => workers.map((worker) => worker.messages('hold').length);

// One server after another on one port and one directory, and the same two workers all the while: a server's start is what takes time.
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
  workers = [];
  isOver = false;
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  port = (free.address() as { port: number }).port;
  await new Promise((resolve) => free.close(resolve));
  await startServer();
  for (const name of ['a', 'b']) {
    const worker = await FakeWorker.join(`ws://127.0.0.1:${port}/signal`, name, { speaks: true });
    worker.misbehaviour.onToken = (_worker, { position }, send) => {
      if (position < upTo) send();
      else waiting.push({ position, send });
    };
    workers.push(worker);
    void keepConnected(worker);
  }
  await untilReady();
  calm = await new SseClient(await ask('calm')).rest();
  calmWhole = await (await ask('calm whole', { ...BODY, stream: false })).json();
});
afterAll(async () => {
  isOver = true;
  for (const worker of workers) worker.kill();
  if (run.child.exitCode === null && run.child.signalCode === null) await kill();
  await rm(directory, { recursive: true, force: true });
});

describe('a server that is killed in mid-answer and started again', () => {
  it('goes on with the same events; nothing is computed or loaded again', async () => {
    letTokensCome(MIDDLE);
    const client = new SseClient(await ask('storm'));
    const read = await client.take(10);
    await until(() => stages().length === 2 && waiting.length === 1);
    const [first, last] = stages();
    const positions = first!.open.promptTokens + TOKENS - 1;
    // One that nobody asked to be kept, and one that no stage answers yet.
    const gone = post(BODY).then((response) => new SseClient(response).rest());
    gone.catch(() => {});
    await until(() => waiting.length === 2);
    for (const worker of workers) worker.misbehaviour.open = 'silent';
    const opens = workers.map((worker) => worker.messages('open').length);
    void ask('late');
    await until(() => workers.every((worker, index) => worker.messages('open').length > opens[index]!));
    const holds = held();

    await kill();
    await client.rest().catch(() => {});
    await expect(gone).rejects.toThrow();
    for (const worker of workers) delete worker.misbehaviour.open;
    // The workers go on.
    letTokensCome(SECOND_HALF);
    await startServer();

    const response = await ask('storm', BODY, read.at(-1)!.id);
    expect(response.status).toBe(200);
    const late = ask('late');
    letTokensCome(Number.POSITIVE_INFINITY);
    const all = [...read, ...(await new SseClient(response).rest())];
    expect(completionOf(all)).toBe(completionOf(calm));
    expect(all).toHaveLength(calm.length);
    expect(all.at(-1)!.data).toBe('[DONE]');
    expect(all.map(({ id }) => Number(id!.split('.')[1]))).toEqual(all.map((_, index) => index + 1));
    const heads = untouched(all).map(({ data }) => JSON.parse(data));
    expect(new Set(heads.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    expect([first!.computed, last!.computed]).toEqual([positions, positions]);
    expect(JSON.parse(all.at(-2)!.data).shoal.restarts).toBe(0);
    // What had no token yet began anew, and what nobody asked to be kept is forgotten.
    expect(completionOf(await new SseClient(await late).rest())).toBe(completionOf(calm));
    await until(() => stages().length === 0);
    expect(held()).toEqual(holds);
  });

  it('goes on too where it is stopped in good order, and its client is told', async () => {
    await untilReady();
    letTokensCome(MIDDLE);
    const client = new SseClient(await ask('order'));
    const read = await client.take(10);
    await until(() => stages().length === 2 && waiting.length === 1);
    const [first, last] = stages();
    run.child.kill('SIGTERM');
    const told = await client.rest();
    expect(told.at(-1)).toMatchObject({ id: null, data: expect.stringContaining('shutting_down') });
    read.push(...told.slice(0, -1));
    expect(await run.ended).toBe(0);
    letTokensCome(Number.POSITIVE_INFINITY);
    await startServer();
    const rest = await new SseClient(await ask('order', BODY, read.at(-1)!.id)).rest();
    expect(completionOf([...read, ...rest])).toBe(completionOf(calm));
    const positions = first!.open.promptTokens + TOKENS - 1;
    expect([first!.computed, last!.computed]).toEqual([positions, positions]);
  });

  it('twice, while the answer comes to its end unseen, is asked without a stream, and keeps what ended', async () => {
    await untilReady();
    letTokensCome(MIDDLE);
    const whole = { ...BODY, stream: false };
    const lost = post(whole, { 'idempotency-key': 'twice' }).catch(() => 'lost');
    await until(() => waiting.length === 1);
    await kill();
    expect(await lost).toBe('lost');
    await startServer();
    await kill();
    letTokensCome(Number.POSITIVE_INFINITY);
    await startServer();
    const answer = await (await ask('twice', whole)).json();
    expect(answer.choices).toEqual(calmWhole.choices);
    expect(answer.usage).toEqual(calmWhole.usage);
    expect(answer.shoal.restarts).toBe(0);
    await until(() => stages().length === 0);
    // In good order, so that its end has been written.
    run.child.kill('SIGTERM');
    await run.ended;
    await startServer();
    const again = await ask('twice', whole);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toEqual(answer);
    expect(await (await ask('calm whole', whole)).json()).toEqual(calmWhole);
    expect(completionOf(await new SseClient(await ask('calm')).rest())).toBe(completionOf(calm));
  });
});
