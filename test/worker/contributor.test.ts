import { expose } from 'comlink';
import { afterEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { RECONNECT_MAX_MS } from '../../src/config/limits.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../src/mesh/protocol/control.ts';
import type { WebSocketLike } from '../../src/mesh/reconnecting-socket.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { Contributor } from '../../src/page/contributor.ts';
import type { ContributorState } from '../../src/page/contributor-state.ts';
import { WorkerHost } from '../../src/worker/host.ts';
import type { WorkerEvent } from '../../src/worker/worker-api.ts';
import { FakeTimers } from '../support/fake-timers.ts';
import { FakeDevice } from './fake-device.ts';
import { soloTokens } from './fake-engine.ts';
import { turns } from './pipeline.ts';

/** The real host behind the real comlink, over a port instead of a Web Worker. */
class FakeWorker {
  readonly devices: FakeDevice[] = [];
  terminated = false;
  noDevice: ShoalError | null = null;
  onerror: ((event: { message: string }) => void) | null = null;
  readonly #page: MessagePort;
  readonly #inside: MessagePort;
  #events: MessagePort | null = null;

  constructor(timers: FakeTimers) {
    const { port1, port2 } = new MessageChannel();
    this.#page = port1;
    this.#inside = port2;
    const host = new WorkerHost({
      requestDevice: async () => {
        if (this.noDevice !== null) throw this.noDevice;
        const device = new FakeDevice();
        this.devices.push(device);
        return device;
      },
      emit: (event: WorkerEvent) => this.#events?.postMessage(event),
      timers,
      userAgent: 'test',
    });
    expose(host, port2);
  }

  postMessage(message: { type?: string; port?: MessagePort }, transfer: Transferable[] = []): void {
    if (message.type === 'events') this.#events = message.port!;
    else this.#page.postMessage(message, transfer);
  }

  addEventListener(type: 'message', listener: EventListener): void {
    this.#page.addEventListener(type, listener);
    this.#page.start();
  }

  removeEventListener(type: 'message', listener: EventListener): void {
    this.#page.removeEventListener(type, listener);
  }

  terminate(): void {
    this.terminated = true;
    this.#page.close();
    this.#inside.close();
    this.#events?.close();
  }
}

/** The server's end of the control WebSocket. */
class FakeServer {
  readonly received: PeerMessage[] = [];
  #socket: WebSocketLike | null = null;
  /** Takes connections, but welcomes nobody. */
  silent = false;
  connections = 0;

  open(): WebSocketLike {
    this.connections += 1;
    const socket: WebSocketLike = {
      bufferedAmount: 0,
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => this.#take(JSON.parse(text) as PeerMessage),
      close: () => {},
    };
    this.#socket = socket;
    queueMicrotask(() => (socket.onopen as (() => void) | null)?.());
    return socket;
  }

  say(message: ServerMessage): void {
    this.#socket?.onmessage?.({ data: JSON.stringify(message) });
  }

  die(): void {
    this.#socket?.onclose?.({ code: 1006, reason: '' });
  }

  of<Type extends PeerMessage['type']>(type: Type): Extract<PeerMessage, { type: Type }>[] {
    return this.received.filter((message) => message.type === type) as Extract<PeerMessage, { type: Type }>[];
  }

  #take(message: PeerMessage): void {
    this.received.push(message);
    if (message.type === 'hello' && !this.silent) queueMicrotask(() => this.welcome());
  }

  welcome(): void {
    this.say({ type: 'welcome', version: CONTROL_VERSION, peer: `peer-${this.connections}`, iceServers: [] });
  }
}

function assign(epoch: number, peer: string): ServerMessage {
  const shard = { start: 0, end: 8, embedding: true, head: true };
  return {
    type: 'assign',
    epoch,
    model: 'fake',
    manifestPath: '/models/fake/manifest?start=0',
    filesPath: '/models/fake/',
    quantization: 'native',
    index: 0,
    stages: [{ peer, name: 'tab 1', shard }],
  };
}

function setUp() {
  const timers = new FakeTimers();
  const server = new FakeServer();
  const workers: FakeWorker[] = [];
  const states: ContributorState[] = [];
  const page = { hide: () => {}, awake: 0, isSecureContext: true, noDevice: null as ShoalError | null };
  const contributor = new Contributor(
    {
      serverUrl: 'http://server:1',
      name: 'tab 1',
      memoryBudgetBytes: 1_000,
      createWorker: () => {
        const worker = new FakeWorker(timers);
        worker.noDevice = page.noDevice;
        workers.push(worker);
        return worker as unknown as Worker;
      },
    },
    {
      get isSecureContext() {
        return page.isSecureContext;
      },
      openSocket: () => server.open(),
      timers,
      random: () => 0.5,
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
  const until = async (reached: () => boolean) => {
    for (let i = 0; i < 300 && !reached(); i++) await turns(1);
    expect(reached()).toBe(true);
  };
  cleanUps.push(() => contributor.close());
  return { contributor, server, workers, timers, states, page, phases, until };
}

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

describe('a contributor', () => {
  it('does nothing before join', async () => {
    const { contributor, server, workers } = setUp();
    await turns(5);
    expect(contributor.state).toMatchObject({ phase: 'idle', connected: false });
    expect(workers).toEqual([]);
    expect(server.connections).toBe(0);
  });

  it('joins, loads, serves a sequence, and leaves', async () => {
    const { contributor, server, workers, phases, until, page } = setUp();
    await contributor.join();
    expect(contributor.state).toMatchObject({ phase: 'waiting', connected: true, peer: 'peer-1' });
    expect(contributor.state.adapter).toMatchObject({ isFallback: true });
    expect(server.of('join')).toMatchObject([{ capability: { memoryBudgetBytes: 1_000 } }]);
    expect(page.awake).toBe(1);

    server.say(assign(1, 'peer-1'));
    await until(() => contributor.state.phase === 'serving');
    expect(contributor.state).toMatchObject({
      downloadedBytes: 100,
      gpuBytes: 3,
      shard: { start: 0, end: 8 },
    });
    expect(contributor.state.progress).toBeUndefined();

    const prompt = [1, 2, 3];
    const open = {
      wire: 'f16',
      maxPositions: 8,
      eosTokenIds: [],
      sampling: GREEDY,
      promptTokens: 3,
    } as const;
    server.say({ type: 'open', epoch: 1, sequence: 1, ...open, eosTokenIds: [] });
    server.say({ type: 'prompt', epoch: 1, sequence: 1, position: 0, ids: prompt, last: true });
    await until(() => server.of('token').length === 5);
    expect(server.of('token').map(({ token }) => token)).toEqual(soloTokens(prompt, 5, GREEDY));
    expect(server.of('token').at(-1)).toMatchObject({ position: 7, finish: 'length' });

    await contributor.leave();
    expect(server.of('leave')).toHaveLength(1);
    expect(workers[0]).toMatchObject({ terminated: true });
    expect(workers[0]!.devices[0]!.destroyed).toBe(true);
    expect(page.awake).toBe(0);
    expect(contributor.state).toMatchObject({ phase: 'idle', connected: false, gpuBytes: 0 });
    expect(phases()).toEqual([
      'detecting',
      'connecting',
      'waiting',
      'downloading',
      'verifying',
      'compiling',
      'linking',
      'serving',
      'leaving',
      'idle',
    ]);
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

  it('says goodbye when the page goes', async () => {
    const { contributor, server, page, workers } = setUp();
    await contributor.join();
    page.hide();
    expect(server.of('leave')).toHaveLength(1);
    expect(contributor.state.phase).toBe('idle');
    expect(workers[0]!.terminated).toBe(true);
  });

  it('comes back with the device it has after the server was lost, and drops the old session', async () => {
    const { contributor, server, workers, timers, until } = setUp();
    await contributor.join();
    server.say(assign(1, 'peer-1'));
    await until(() => contributor.state.phase === 'serving');
    server.die();
    expect(contributor.state).toMatchObject({ phase: 'serving', connected: false });
    await timers.advance(RECONNECT_MAX_MS);
    await until(() => contributor.state.connected);
    expect(contributor.state).toMatchObject({ phase: 'waiting', peer: 'peer-2' });
    expect(server.of('join')).toHaveLength(2);
    expect(workers).toHaveLength(1);
    expect(workers[0]!.devices).toHaveLength(1);
    server.say(assign(1, 'peer-2'));
    await until(() => contributor.state.phase === 'serving');
    expect(workers[0]!.devices[0]!.engines.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  });

  it('leaves and joins anew with the next device after one was lost', async () => {
    const { contributor, server, workers, until, phases } = setUp();
    await contributor.join();
    server.say(assign(1, 'peer-1'));
    await until(() => contributor.state.phase === 'serving');
    workers[0]!.devices[0]!.lose('driver reset');
    await until(() => server.of('join').length === 2);
    expect(server.received.map(({ type }) => type).slice(-2)).toEqual(['leave', 'join']);
    expect(phases().slice(-3)).toEqual(['serving', 'detecting', 'waiting']);
  });

  it('goes back to waiting when its layers are taken, and shows why a load failed', async () => {
    const { contributor, server, workers, until } = setUp();
    await contributor.join();
    workers[0]!.devices[0]!.failure = new ShoalError('TENSOR_HASH', 'tensor x has another hash');
    server.say(assign(1, 'peer-1'));
    await until(() => contributor.state.error !== undefined);
    expect(contributor.state).toMatchObject({ phase: 'waiting', error: { code: 'TENSOR_HASH' } });
    expect(contributor.state.shard).toBeUndefined();
    workers[0]!.devices[0]!.failure = null;
    server.say(assign(2, 'peer-1'));
    await until(() => contributor.state.phase === 'serving');
    expect(contributor.state.error).toBeUndefined();
    server.say({ type: 'unassign', epoch: 2 });
    expect(contributor.state).toMatchObject({ phase: 'waiting', gpuBytes: 0 });
  });

  it('fails with the server’s reason when its offer is refused', async () => {
    const { contributor, server, workers, phases } = setUp();
    await contributor.join();
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
    const { contributor, server, until } = setUp();
    await contributor.join();
    server.say(assign(1, 'peer-1'));
    await until(() => contributor.state.phase === 'serving');
    server.say({ type: 'error', error: { code: 'EPOCH_STALE', message: 'epoch 0 is gone' }, fatal: false });
    expect(contributor.state.phase).toBe('serving');
  });

  it('looks for another device when one is lost before the server answers', async () => {
    const { contributor, server, workers, until, phases } = setUp();
    server.silent = true;
    const joining = contributor.join();
    await until(() => server.of('hello').length === 1);
    workers[0]!.devices[0]!.lose('driver reset');
    await until(() => workers[0]!.devices.length === 2 && contributor.state.phase === 'connecting');
    server.welcome();
    await joining;
    expect(phases()).toEqual(['detecting', 'connecting', 'detecting', 'connecting', 'waiting']);
    expect(server.of('join')).toHaveLength(1);
  });

  it('stops for good when the server speaks another version', async () => {
    const { contributor, server } = setUp();
    const joining = contributor.join();
    for (let i = 0; i < 50 && server.of('hello').length === 0; i++) await turns(1);
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
