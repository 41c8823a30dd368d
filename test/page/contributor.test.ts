import { expose } from 'comlink';
import { afterEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { RECONNECT_MIN_MS } from '../../src/config/limits.ts';
import { Contributor } from '../../src/page/contributor.ts';
import type { ContributorState } from '../../src/page/contributor-state.ts';
import type { WorkerApi, WorkerEvent } from '../../src/worker/worker-api.ts';
import { FakeTimers } from '../support/fake-timers.ts';
import { FakeServer, hold, openFor } from '../worker/tab/fake-server.ts';
import { CAPABILITY, heldShard, ScriptedWorker } from '../worker/tab/scripted-worker.ts';

/** A scripted worker behind the real comlink, over a port instead of a Web Worker. */
class FakeWebWorker {
  readonly scripted = new ScriptedWorker();
  terminated = false;
  onerror: ((event: { message: string }) => void) | null = null;
  readonly #page: MessagePort;
  readonly #inside: MessagePort;
  #events: MessagePort | null = null;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#page = port1;
    this.#inside = port2;
    this.scripted.onEvent = (event) => this.tell(event);
    expose(this.scripted satisfies WorkerApi, port2);
  }

  tell(event: WorkerEvent): void {
    this.#events?.postMessage(event);
  }

  postMessage(message: { type?: string; port?: MessagePort }, transfer: Transferable[] = []): void {
    if (message.type === 'events') this.#events = message.port!;
    else this.#page.postMessage(message, transfer);
  }

  addEventListener(_: 'message', listener: EventListener): void {
    this.#page.addEventListener('message', listener);
    this.#page.start();
  }

  removeEventListener(_: 'message', listener: EventListener): void {
    this.#page.removeEventListener('message', listener);
  }

  terminate(): void {
    this.terminated = true;
    this.#page.close();
    this.#inside.close();
    this.#events?.close();
  }

  async load(shard: number): Promise<void> {
    const bytes = { bytesDone: 1, bytesTotal: 2 };
    for (const phase of ['download', 'verify', 'compile'] as const) {
      this.tell({ type: 'send', message: { type: 'load-progress', shard, phase, ...bytes } });
    }
    this.tell({ type: 'usage', tokensPerSecond: 0, tokens: 0, gpuBytes: 3 });
    const message = { type: 'held', shard, downloadedBytes: 100, gpuBytes: 3, loadMs: 1 } as const;
    this.tell({ type: 'send', message: { ...message, kvPositions: 64 } });
  }
}

function setUp() {
  const timers = new FakeTimers();
  const server = new FakeServer();
  const workers: FakeWebWorker[] = [];
  const states: ContributorState[] = [];
  const page = {
    hide: () => {},
    awake: 0,
    isSecureContext: true,
    noDevice: null as ShoalError | null,
    joinKey: undefined as string | undefined,
    keys: 0,
  };
  const contributor = new Contributor(
    {
      serverUrl: 'http://server:1',
      name: 'tab 1',
      memoryBudgetBytes: 1_000,
      get joinKey() {
        return page.joinKey;
      },
      createWorker: () => {
        const worker = new FakeWebWorker();
        if (page.noDevice !== null) worker.scripted.detected = { ok: false, error: page.noDevice.toWire() };
        workers.push(worker);
        return worker as unknown as Worker;
      },
    },
    {
      get isSecureContext() {
        return page.isSecureContext;
      },
      openSocket: server.open,
      timers,
      random: () => 0.5,
      drawKey: () => `${++page.keys}`.padStart(43, 'k'),
      warn: () => {},
      onPageHide: (hidden) => {
        page.hide = hidden;
        return () => {};
      },
      holdAwake: () => {
        page.awake += 1;
        return () => {
          page.awake -= 1;
        };
      },
    },
  );
  contributor.subscribe((state) => states.push(state));
  const phases = () =>
    states.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
  cleanUps.push(() => contributor.close());
  return { contributor, server, workers, timers, states, page, phases };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
async function until(reached: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !reached(); i++) await turn();
  expect(reached()).toBe(true);
}

async function serving() {
  const all = setUp();
  const { contributor, server, workers } = all;
  await contributor.join();
  await until(() => server.of('running').length === 1);
  server.say(hold(1));
  await workers[0]!.load(1);
  await until(() => contributor.state.phase === 'serving');
  return all;
}

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

describe('a contributor', () => {
  it('does nothing before join', async () => {
    const { contributor, server, workers } = setUp();
    await turn();
    expect(contributor.state).toMatchObject({ phase: 'idle', connected: false });
    expect(workers).toEqual([]);
    expect(server.connections).toBe(0);
  });

  it('joins, loads, serves, and leaves', async () => {
    const { contributor, server, workers, phases, page } = setUp();
    await contributor.join();
    expect(contributor.state).toMatchObject({ phase: 'waiting', connected: true, peer: 'peer-5' });
    expect(contributor.state.adapter).toMatchObject({ isFallback: true });
    await until(() => server.of('running').length === 1);
    expect(server.of('join')).toMatchObject([{ capability: { memoryBudgetBytes: 1_000 } }]);
    expect(page.awake).toBe(1);

    server.say(hold(1, 0, 4));
    await workers[0]!.load(1);
    await until(() => contributor.state.phase === 'serving');
    expect(contributor.state).toMatchObject({
      detail: 'Serving layers 0–3 of fake.',
      downloadedBytes: 100,
      gpuBytes: 3,
      shard: { start: 0, end: 4 },
      shards: [{ start: 0, end: 4 }],
    });
    expect(contributor.state.progress).toBeUndefined();

    const leaving = contributor.leave();
    server.say({ type: 'released' });
    await leaving;
    expect(server.of('leave')).toHaveLength(1);
    expect(workers[0]!.scripted.calls.slice(-2)).toEqual(['hold', 'stop']);
    expect(workers[0]).toMatchObject({ terminated: true });
    expect(page.awake).toBe(0);
    expect(contributor.state).toMatchObject({ phase: 'idle', connected: false, gpuBytes: 0 });
    expect(phases()).toEqual([
      'detecting',
      'connecting',
      'waiting',
      'downloading',
      'verifying',
      'compiling',
      'serving',
      'leaving',
      'idle',
    ]);
  });

  it('finishes its answers when Leave is pressed, and says how many', async () => {
    const { contributor, server, states } = await serving();
    server.say(openFor(1));
    server.say(openFor(2));
    const leaving = contributor.leave();
    expect(contributor.state).toMatchObject({ phase: 'leaving', detail: 'Finishing 2 answers…' });
    server.say({ type: 'close', sequence: 2 });
    expect(contributor.state.detail).toBe('Finishing 1 answer…');
    expect(server.of('leave')).toEqual([]);
    server.say({ type: 'close', sequence: 1 });
    server.say({ type: 'released' });
    await leaving;
    expect(server.of('leave')).toHaveLength(1);
    expect(states.at(-1)!.phase).toBe('idle');
  });

  it('goes at once when Leave is pressed again', async () => {
    const { contributor, server } = await serving();
    server.say(openFor(1));
    const leaving = contributor.leave();
    await contributor.leave();
    await leaving;
    expect(server.of('leave')).toHaveLength(1);
    expect(contributor.state.phase).toBe('idle');
  });

  it('goes at once with the page, and says goodbye', async () => {
    const { contributor, server, page, workers } = await serving();
    server.say(openFor(1));
    page.hide();
    expect(server.of('leave')).toHaveLength(1);
    expect(server.of('drain')).toEqual([]);
    expect(contributor.state.phase).toBe('idle');
    expect(workers[0]!.terminated).toBe(true);
  });

  it('goes with the page while it finishes answers', async () => {
    const { contributor, server, page } = await serving();
    server.say(openFor(1));
    const leaving = contributor.leave();
    page.hide();
    await leaving;
    expect(server.of('leave')).toHaveLength(1);
    expect(contributor.state.phase).toBe('idle');
  });

  it('says what an insecure page lacks, without touching a worker', async () => {
    const { contributor, page, workers } = setUp();
    page.isSecureContext = false;
    await contributor.join();
    expect(contributor.state).toMatchObject({ phase: 'failed', error: { code: 'NO_SECURE_CONTEXT' } });
    expect(workers).toEqual([]);
  });

  it('says why there is no device, and may try again', async () => {
    const { contributor, page, workers } = setUp();
    page.noDevice = new ShoalError('NO_ADAPTER', 'no adapter; enable acceleration');
    await contributor.join();
    expect(contributor.state).toMatchObject({
      phase: 'failed',
      detail: 'no adapter; enable acceleration',
      error: { code: 'NO_ADAPTER' },
    });
    expect(workers[0]).toMatchObject({ terminated: true });
    page.noDevice = null;
    await contributor.join();
    expect(contributor.state.phase).toBe('waiting');
    expect(contributor.state.error).toBeUndefined();
  });

  it('can be left while it looks for a device', async () => {
    const { contributor } = setUp();
    const joining = contributor.join();
    await contributor.leave();
    await joining;
    expect(contributor.state.phase).toBe('idle');
  });

  it('is another peer at each Join, and asks for the join key anew', async () => {
    const { contributor, server, page } = setUp();
    server.silent = true;
    const joining = contributor.join();
    await until(() => server.of('hello').length === 1);
    server.say({ type: 'error', error: { code: 'UNAUTHORIZED', message: 'a key is needed' }, fatal: true });
    await joining;
    expect(contributor.state).toMatchObject({ phase: 'failed', error: { code: 'UNAUTHORIZED' } });
    page.joinKey = 'open sesame';
    server.silent = false;
    await contributor.join();
    expect(contributor.state.phase).toBe('waiting');
    const [first, second] = server.of('hello');
    expect(first!.joinKey).toBeUndefined();
    expect(second!.joinKey).toBe('open sesame');
    expect(second!.key).not.toBe(first!.key);
  });

  it('serves on while the server is away, and is the same peer when it is back', async () => {
    const { contributor, server, workers, timers } = await serving();
    server.die();
    expect(contributor.state).toMatchObject({ phase: 'serving', connected: false });
    expect(contributor.state.detail).toMatch(/^the server closed the connection .* trying again in/);
    workers[0]!.scripted.has = { held: [heldShard(1)], links: [], running: [] };
    await timers.advance(RECONNECT_MIN_MS);
    await until(() => server.of('join').length === 2);
    expect(contributor.state).toMatchObject({ phase: 'serving', connected: true, peer: 'peer-5' });
    expect(server.of('hello').map(({ key }) => key)).toEqual(Array(2).fill('1'.padStart(43, 'k')));
    expect(workers).toHaveLength(1);
    expect(workers[0]!.scripted.calls).not.toContain('end session');
  });

  it('leaves and joins anew with the next device after one was lost', async () => {
    const { contributor, server, workers, phases } = await serving();
    workers[0]!.tell({ type: 'device-lost', error: { code: 'DEVICE_LOST', message: 'driver reset' } });
    await until(() => contributor.state.phase === 'detecting');
    workers[0]!.tell({ type: 'device-found', capability: CAPABILITY });
    await until(() => server.of('join').length === 2);
    expect(server.received.map(({ type }) => type).slice(-3)).toEqual(['leave', 'join', 'running']);
    expect(phases().slice(-3)).toEqual(['serving', 'detecting', 'waiting']);
    expect(contributor.state.error).toBeUndefined();
  });

  it('goes back to waiting when its layers are taken, and shows why a load failed', async () => {
    const { contributor, server, workers } = setUp();
    await contributor.join();
    await until(() => server.of('running').length === 1);
    server.say(hold(1));
    const error = { code: 'TENSOR_HASH', message: 'tensor x has another hash' } as const;
    workers[0]!.tell({ type: 'send', message: { type: 'load-failed', shard: 1, error } });
    await until(() => contributor.state.error !== undefined);
    expect(contributor.state).toMatchObject({ phase: 'waiting', error: { code: 'TENSOR_HASH' } });
    expect(contributor.state.shard).toBeUndefined();
    server.say(hold(2));
    await workers[0]!.load(2);
    await until(() => contributor.state.phase === 'serving');
    expect(contributor.state.error).toBeUndefined();
    server.say({ type: 'drop', shard: 2 });
    expect(contributor.state).toMatchObject({ phase: 'waiting', gpuBytes: 0 });
  });

  it('shows all that it holds, and serves while another shard loads', async () => {
    const { contributor, server, workers } = setUp();
    await contributor.join();
    await until(() => server.of('running').length === 1);
    server.say(hold(1, 0, 2));
    await workers[0]!.load(1);
    await until(() => contributor.state.phase === 'serving');
    server.say(hold(2, 6, 8));
    expect(contributor.state).toMatchObject({
      phase: 'serving',
      shard: { start: 0, end: 2 },
      progress: { phase: 'download' },
    });
    await workers[0]!.load(2);
    await until(() => contributor.state.shards?.length === 2);
    expect(contributor.state.detail).toBe('Serving layers 0–1, layers 6–7 of fake.');
  });

  it('fails with the server’s reason when its offer is refused', async () => {
    const { contributor, server, workers, phases } = setUp();
    await contributor.join();
    await until(() => server.of('running').length === 1);
    server.say({
      type: 'error',
      error: { code: 'PROTOCOL_INVALID', message: 'join.capability: expected int' },
      fatal: false,
    });
    expect(contributor.state).toMatchObject({
      phase: 'failed',
      detail: 'join.capability: expected int',
      error: { code: 'PROTOCOL_INVALID' },
    });
    expect(workers[0]!.terminated).toBe(true);
    await contributor.join();
    expect(phases().slice(-4)).toEqual(['failed', 'detecting', 'connecting', 'waiting']);
  });

  it('goes on where the server refuses something else than the offer', async () => {
    const { contributor, server } = await serving();
    server.say({ type: 'error', error: { code: 'EPOCH_STALE', message: 'epoch 0 is gone' }, fatal: false });
    expect(contributor.state.phase).toBe('serving');
  });

  it('stops for good when the server speaks another version', async () => {
    const { contributor, server } = setUp();
    server.silent = true;
    const joining = contributor.join();
    await until(() => server.of('hello').length === 1);
    server.say({
      type: 'error',
      error: { code: 'PROTOCOL_VERSION', message: 'reload the page' },
      fatal: true,
    });
    await joining;
    expect(contributor.state).toMatchObject({ phase: 'failed', error: { code: 'PROTOCOL_VERSION' } });
  });

  it('fails when the worker does not load', async () => {
    const { contributor, workers } = setUp();
    const joining = contributor.join();
    workers[0]!.onerror?.({ message: 'syntax' });
    await joining;
    expect(contributor.state).toMatchObject({ phase: 'failed', error: { code: 'INTERNAL' } });
  });
});
