import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { GenerateRequest } from '../../../src/backend/fxn/generator.ts';
import {
  ADOPT_WAIT_MS,
  MAX_RUNNING_PER_MESSAGE,
  MAX_RUNNING_SEQUENCES,
  MAX_TOLD_EPOCH,
} from '../../../src/config/limits.ts';
import type { RunningSequence, ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { GREEDY } from '../../../src/model/sampling.ts';
import { Coordinator } from '../../../src/server/mesh/generations/coordinator.ts';
import { Peer } from '../../../src/server/mesh/peers/peer.ts';
import { type MeshRoute, type Routes, routeOf } from '../../../src/server/mesh/routes/mesh-route.ts';
import { FakeTimers } from '../../support/fake-timers.ts';

/** What workers that are back say of their sequences, true or not. */

const PROMPT = [11, 22, 33];
const HIGHEST = 0xffff_ffff;

interface Listener {
  readonly peer: Peer;
  readonly heard: ServerMessage[];
}

let timers: FakeTimers;
let route: MeshRoute | null;
let possible: () => void;
let coordinator: Coordinator;
let entered: MeshRoute[];
let holdsIt: (route: MeshRoute) => boolean;

function worker(name: string): Listener {
  const heard: ServerMessage[] = [];
  const peer = new Peer(`p-${name}`, name, { send: (message) => void heard.push(message), close: () => {} });
  return { peer, heard };
}

const routeOver = (...workers: readonly Listener[]): MeshRoute => ({
  stops: workers.map(({ peer }, index) => ({ peer, shard: 7, start: index, end: index + 1, class: null })),
});
const running = (over: MeshRoute, index: number, sequence: number, epoch: number): RunningSequence => ({
  sequence,
  epoch,
  shard: 7,
  index,
  route: routeOf(over),
  wire: 'f16',
});
const runs = ({ peer }: Listener, ...sequences: RunningSequence[]) =>
  coordinator.runs(peer, { type: 'running', sequences, last: true });
/** It has joined. */
function tell(listener: Listener, ...sequences: RunningSequence[]): void {
  coordinator.joined(listener.peer);
  runs(listener, ...sequences);
}
const opens = ({ heard }: Listener) => heard.flatMap((message) => (message.type === 'open' ? message : []));
const types = ({ heard }: Listener) => heard.map(({ type }) => type);
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Its answer is read by nobody; it goes on until the coordinator closes. */
function generate(over: Partial<GenerateRequest> = {}): Promise<unknown> {
  const request = { prompt: PROMPT, maxTokens: 20, eosTokenIds: [], sampling: GREEDY, ...over };
  return coordinator.generate(request, new AbortController().signal).next();
}

async function offer(found: MeshRoute): Promise<void> {
  route = found;
  possible();
  await settled();
}

beforeEach(() => {
  timers = new FakeTimers();
  route = null;
  possible = () => {};
  entered = [];
  holdsIt = () => true;
  const routes: Routes = {
    outlook: { ready: true, isComing: true, detail: '' },
    choose: () => route,
    enter: (taken) => void entered.push(taken),
    leave: () => {},
    expectedMs: () => 0,
    served: () => {},
    retold: () => {},
    failed: () => {},
    blameFor: (by) => by,
    refusedRoom: () => 'known' as const,
    onPossible: (listener) => {
      possible = listener;
    },
    onPeerLost: () => {},
    suspectsOf: () => [],
    isHeld: (told) => holdsIt(told),
    isHeard: () => true,
    onHearsay: () => {},
    onMovable: () => {},
    onLinkLost: () => {},
  };
  const log = pino({ level: 'silent' });
  coordinator = new Coordinator({ routes, timers, log, wire: 'f16', vocab: 100, firstSequence: 40 });
});

describe('a worker that names a sequence which it never had', () => {
  it('cannot raise its epoch, and is told to forget it', async () => {
    const [honest, liar] = [worker('a'), worker('m')];
    const ended = expect(generate()).rejects.toMatchObject({ code: 'ABORTED' });
    tell(liar, running(routeOver(liar), 0, 41, HIGHEST));
    expect(liar.heard).toEqual([{ type: 'close', sequence: 41 }]);
    await offer(routeOver(honest));
    expect(opens(honest)).toMatchObject([{ sequence: 41, epoch: 1 }]);
    coordinator.close();
    await ended;
  });

  it('nor name it before it begins: numbers are drawn', () => {
    const options = { timers, log: pino({ level: 'silent' }), wire: 'f16', vocab: 100 } as const;
    const drawn = new Coordinator({
      ...options,
      routes: { onPossible() {}, onHearsay() {}, onPeerLost() {}, onMovable() {}, onLinkLost() {} } as never,
    });
    const ids = Array.from({ length: 20 }, () => drawn.nextId());
    const steps = ids.slice(1).map((id, index) => Math.abs(id - ids[index]!));
    expect(steps.filter((step) => step > 1_000).length).toBeGreaterThan(15);
  });
});

describe('a sequence of before the restart', () => {
  const resume = { sequence: 9, ids: [] };

  it('goes on by the route that its stages tell alike, whatever epoch another names', async () => {
    const [a, b, liar] = [worker('a'), worker('b'), worker('m')];
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    const whole = routeOver(a, b);
    tell(liar, running(routeOver(liar, a), 0, 9, MAX_TOLD_EPOCH));
    tell(a, running(whole, 0, 9, 4));
    expect(entered).toEqual([]);
    tell(b, running(whole, 1, 9, 4));
    expect(entered).toEqual([whole]);
    expect(types(b)).toEqual(['retell']);
    expect(types(liar)).toEqual(['close']);
    coordinator.close();
    await ended;
  });

  it('is not taken by a worker that tells a route of its own and holds none of the layers', async () => {
    const [a, b, liar] = [worker('a'), worker('b'), worker('m')];
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    holdsIt = ({ stops }) => stops.every(({ peer }) => peer !== liar.peer);
    tell(liar, running(routeOver(liar), 0, 9, 5));
    expect(entered).toEqual([]);
    const whole = routeOver(a, b);
    tell(a, running(whole, 0, 9, 4));
    tell(b, running(whole, 1, 9, 4));
    expect(entered).toEqual([whole]);
    expect(types(liar)).toEqual(['close']);
    coordinator.close();
    await ended;
  });

  it('has a higher epoch than any that its stages told, where some are not back in time', async () => {
    const [a, b, c] = [worker('a'), worker('b'), worker('c')];
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    const before = routeOver(a, b);
    tell(a, running(before, 0, 9, 4));
    await timers.advance(ADOPT_WAIT_MS);
    await offer(routeOver(a, c));
    expect(opens(a)).toMatchObject([{ epoch: 5 }]);
    // Too late: it has no part in it any more.
    tell(b, running(before, 1, 9, 4));
    expect(types(b)).toEqual(['close']);
    coordinator.close();
    await ended;
  });

  it('goes on with a stage that tells of it only when it is on the next route', async () => {
    const a = worker('a');
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    await timers.advance(ADOPT_WAIT_MS);
    await offer(routeOver(a));
    expect(opens(a)).toMatchObject([{ epoch: 1 }]);
    tell(a, running(routeOver(a), 0, 9, 4));
    await settled();
    expect(opens(a).at(-1)).toMatchObject({ epoch: 5 });
    coordinator.close();
    await ended;
  });

  it.each([
    ['an epoch that no sequence comes to', HIGHEST, 0],
    ['another’s place on the route', 4, 1],
  ])('takes no word of who names %s', async (_what, epoch, index) => {
    const [a, liar] = [worker('a'), worker('m')];
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    tell(liar, running(routeOver(liar, a), index, 9, epoch));
    expect(types(liar)).toEqual(['close']);
    await timers.advance(ADOPT_WAIT_MS);
    await offer(routeOver(a));
    expect(opens(a)).toMatchObject([{ epoch: 1 }]);
    coordinator.close();
    await ended;
  });

  it.each([
    ['between its stages is another route’s at once', 1, true],
    ['to somebody else means nothing to it', 2, false],
  ])('whose link broke while the server was away: one %s', async (_what, other, isLost) => {
    const [a, b, c] = [worker('a'), worker('b'), worker('c')];
    const ended = expect(generate({ resume })).rejects.toMatchObject({ code: 'ABORTED' });
    const whole = routeOver(a, b);
    route = whole;
    tell(a, running(whole, 0, 9, 4));
    // The other is not back yet.
    coordinator.linkEnded(a.peer, [a, b, c][other]!.peer.id);
    tell(b, running(whole, 1, 9, 4));
    await settled();
    expect(opens(a).map(({ epoch }) => epoch)).toEqual(isLost ? [5] : []);
    coordinator.close();
    await ended;
  });

  it('that has no number waits for nobody: none can name it', async () => {
    const a = worker('a');
    const ended = expect(generate({ resume: { sequence: null, ids: [] } })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await offer(routeOver(a));
    expect(opens(a)).toMatchObject([{ epoch: 1, sequence: 41 }]);
    coordinator.close();
    await ended;
  });
});

describe('a list of sequences without an end', () => {
  const many = (liar: Listener) =>
    Array.from({ length: MAX_RUNNING_PER_MESSAGE }, (_, id) => running(routeOver(liar), 0, id, 1));
  const tellOn = (liar: Listener) =>
    coordinator.runs(liar.peer, { type: 'running', sequences: many(liar), last: false });

  it('is refused beyond what can run there', () => {
    const liar = worker('m');
    coordinator.joined(liar.peer);
    for (let told = 0; told + MAX_RUNNING_PER_MESSAGE <= MAX_RUNNING_SEQUENCES; ) {
      tellOn(liar);
      told += MAX_RUNNING_PER_MESSAGE;
    }
    expect(() => tellOn(liar)).toThrow(/at most 512 can/);
    // Nothing of it is kept.
    runs(liar);
    expect(liar.heard).toEqual([]);
  });

  it('that no join came before, or that was told already, is refused', () => {
    const liar = worker('m');
    expect(() => runs(liar)).toThrow(/a list of it follows a join/);
    tell(liar);
    expect(() => runs(liar)).toThrow(/a list of it follows a join/);
  });

  it('begins anew with a join', () => {
    const liar = worker('m');
    coordinator.joined(liar.peer);
    tellOn(liar);
    coordinator.joined(liar.peer);
    runs(liar);
    expect(liar.heard).toEqual([]);
  });
});
