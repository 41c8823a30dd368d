import { beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_UNACKED_CHUNKS } from '../../src/config/limits.ts';
import type { Frame } from '../../src/mesh/frame.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { KeptBudget } from '../../src/worker/kept-rows.ts';
import { Stage } from '../../src/worker/stage.ts';
import type { OpenSequence } from '../../src/worker/stage-types.ts';
import { FAKE_SPEC, FakeEngine } from './fake-engine.ts';
import { deal, routeThrough, turns } from './pipeline.ts';

const SHARDS = deal(FAKE_SPEC.layers, 3);
const ROW_BYTES = FAKE_SPEC.hidden * 2;

/** The middle stage of three, taken by itself: what it is sent is made by hand. */
let engine: FakeEngine;
let stage: Stage;
let sent: { to: string; frame: Frame }[];
let told: string[];
let linked: boolean;
let gate: Promise<void>;

beforeEach(() => {
  sent = [];
  told = [];
  linked = true;
  gate = Promise.resolve();
  engine = new FakeEngine(SHARDS[1]!, { onStep: () => gate });
  stage = new Stage({
    engine,
    kept: new KeptBudget(),
    isLinked: () => linked,
    send: async (to, frame) => void sent.push({ to, frame }),
    events: {
      opened: ({ epoch }, position, keptFrom) =>
        told.push(`opened ${epoch}: ${position}, kept from ${keptFrom}`),
      tokens: () => told.push('token'),
      retold: () => told.push('retold'),
      sequenceFailed: ({ epoch }, error: ShoalError) => told.push(`failed ${epoch}: ${error.code}`),
      refused: (error) => told.push(`refused: ${error.code}`),
      stageFailed: (error) => told.push(`broken: ${error.code}`),
    },
  });
});

function open(change: Partial<OpenSequence> = {}, last = 'c'): void {
  stage.open({
    sequence: 1,
    epoch: 1,
    index: 1,
    route: routeThrough(['a', 'b', last], SHARDS),
    wire: 'f16',
    maxPositions: 2_000,
    eosTokenIds: [],
    sampling: GREEDY,
    promptTokens: 1_000,
    known: 1_000,
    awaitsResume: false,
    ...change,
  });
}

/** Rows of hash 0, which the fake engine accepts. */
function receive(position: number, count: number, { epoch = 1, truncate = false, from = 'a' } = {}): void {
  const payload = new Uint8Array(count * ROW_BYTES);
  const view = new DataView(payload.buffer);
  for (let row = 0; row < count; row++) view.setUint32(row * ROW_BYTES + 4, 4, true);
  stage.receive(from, {
    kind: 'activation',
    dtype: 'f16',
    microBatch: 1,
    entries: [{ sequence: 1, position, epoch, count, sample: position + count >= 1_000, truncate }],
    payload,
  });
}

function acknowledge(position: number, { epoch = 1, from = 'c' } = {}): void {
  const entries = [{ sequence: 1, position, epoch, count: 1, sample: false, truncate: false }];
  stage.receive(from, { kind: 'ack', dtype: 'none', microBatch: 1, entries, payload: new Uint8Array(0) });
}

const chunks = (to: string) =>
  sent
    .filter(({ to: peer, frame }) => peer === to && frame.kind === 'activation')
    .flatMap(({ frame }) => frame.entries)
    .map(({ position, count, truncate }) => `${position}+${count}${truncate ? ' truncate' : ''}`);

describe('an open sequence that is opened', () => {
  it('in the same place again is told of again', () => {
    open();
    open();
    expect(told).toEqual(['opened 1: 0, kept from 0', 'opened 1: 0, kept from 0']);
    expect(engine.openSequences).toBe(1);
  });

  it('in the same epoch on another route is refused, and over: which of the two is meant is not known', () => {
    open();
    open({}, 'd');
    expect(told).toEqual(['opened 1: 0, kept from 0', 'failed 1: PROTOCOL_INVALID']);
    expect(engine.openSequences).toBe(0);
  });

  it('in an older epoch is refused for that epoch, and goes on', async () => {
    open({ epoch: 5 });
    open({ epoch: 4 });
    expect(told).toEqual(['opened 5: 0, kept from 0', 'failed 4: EPOCH_STALE']);
    receive(0, 10, { epoch: 5 });
    await turns(2);
    expect(chunks('c')).toEqual(['0+10']);
  });

  it('in a newer one keeps what lies before the last known id, and can send it again', async () => {
    open();
    for (let position = 0; position < 192; position += 64) receive(position, 64);
    await turns(3);
    open({ epoch: 2, known: 150, awaitsResume: true });
    expect(told.at(-1)).toBe('opened 2: 149, kept from 0');
    expect(engine.length(1)).toBe(149);
    open({ epoch: 3, known: 1_000, awaitsResume: true });
    expect(told.at(-1)).toBe('opened 3: 149, kept from 0');
  });

  it('while one of its rows is computed answers when that is over', async () => {
    let release = () => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    open();
    receive(0, 64);
    await turns(1);
    open({ epoch: 2, awaitsResume: true });
    open({ epoch: 3, awaitsResume: true });
    await turns(3);
    expect(told).toEqual(['opened 1: 0, kept from 0']);
    release();
    await turns(3);
    expect(told).toEqual(['opened 1: 0, kept from 0', 'opened 3: 64, kept from 0']);
    expect(sent).toEqual([]);
  });

  it('while one of its rows is computed sends nothing of what waited on the old route', async () => {
    linked = false;
    open();
    receive(0, 64);
    await turns(2);
    let release = () => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    receive(64, 64);
    await turns(1);
    open({ epoch: 2, awaitsResume: true });
    linked = true;
    stage.linkOpened('c');
    release();
    await turns(3);
    expect(sent).toEqual([]);
    expect(told.at(-1)).toBe('opened 2: 128, kept from 0');
  });

  it('keeps no row that could not be computed', async () => {
    let fail = () => {};
    gate = new Promise((_, reject) => {
      fail = () => reject(new ShoalError('F16_RANGE', 'a value beyond 65504'));
    });
    engine.failsLate = true;
    open();
    receive(0, 64);
    await turns(1);
    open({ epoch: 2, awaitsResume: true });
    fail();
    await turns(3);
    expect(told).toEqual(['opened 1: 0, kept from 0', 'opened 2: 0, kept from 0']);
  });

  it('after it was closed while one of its rows was computed begins anew', async () => {
    let release = () => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    open();
    receive(0, 64);
    await turns(1);
    stage.close(1);
    open({ epoch: 2, awaitsResume: true });
    expect(told).toHaveLength(1);
    release();
    await turns(3);
    expect(told).toEqual(['opened 1: 0, kept from 0', 'opened 2: 0, kept from 0']);
    expect(engine.length(1)).toBe(0);
  });

  it('keeps nothing for a next stage that would be sent another wire format', async () => {
    open();
    receive(0, 64);
    await turns(2);
    open({ epoch: 2, awaitsResume: true, wire: 'f32' });
    expect(told.at(-1)).toBe('opened 2: 0, kept from 0');
    expect(engine.length(1)).toBe(0);
  });
});

describe('a route that is not resumed yet', () => {
  it('computes what comes, within the window, and sends it when it is told from where', async () => {
    open();
    receive(0, 64);
    await turns(2);
    open({ epoch: 2, awaitsResume: true }, 'd');
    for (let position = 64; position < 64 * 12; position += 64) {
      receive(position, 64, { epoch: 2, truncate: position === 64 });
    }
    await turns(20);
    expect(engine.rows()).toBe(64 + MAX_UNACKED_CHUNKS * 64);
    expect(chunks('d')).toEqual([]);
    stage.resume({ sequence: 1, epoch: 2, position: 64, next: 32 });
    await turns(20);
    // From where the next stage begins, in chunks of its own; the next one forgets what it held beyond.
    expect(chunks('d')).toEqual(['32+64 truncate', '96+64', '160+64', '224+64']);
    expect(told).not.toContain('failed 2: POSITION_GAP');
  });

  it('trims itself to where it resumes, when nothing has come yet', async () => {
    open();
    receive(0, 64);
    receive(64, 64);
    await turns(3);
    open({ epoch: 2, awaitsResume: true });
    stage.resume({ sequence: 1, epoch: 2, position: 50, next: 80 });
    expect(engine.length(1)).toBe(50);
    receive(50, 64, { epoch: 2, truncate: true });
    await turns(2);
    expect(chunks('c').slice(2)).toEqual(['80+34 truncate']);
  });

  it('cannot be resumed at positions that it does not hold', () => {
    open();
    open({ epoch: 2, awaitsResume: true });
    stage.resume({ sequence: 1, epoch: 2, position: 1, next: 0 });
    expect(told.at(-1)).toBe('failed 2: POSITION_GAP');
  });

  it('is not resumed by a word for another epoch', async () => {
    open();
    receive(0, 64);
    await turns(2);
    open({ epoch: 2, awaitsResume: true });
    stage.resume({ sequence: 1, epoch: 1, position: 0, next: 0 });
    await turns(2);
    expect(told.at(-1)).toBe('refused: EPOCH_STALE');
    expect(chunks('c')).toEqual(['0+64']);
  });
});

describe('rows on their way', () => {
  it('wait while there is no link, and go when there is', async () => {
    linked = false;
    open();
    receive(0, 64);
    await turns(2);
    expect(sent).toEqual([]);
    linked = true;
    stage.linkOpened('x');
    expect(chunks('c')).toEqual([]);
    stage.linkOpened('c');
    expect(chunks('c')).toEqual(['0+64']);
  });

  it('stop for good with a link that took some of them: what is missing there is not known', async () => {
    open();
    receive(0, 64);
    await turns(2);
    stage.linkLost('c');
    stage.linkOpened('c');
    receive(64, 64);
    await turns(2);
    expect(chunks('c')).toEqual(['0+64']);
    expect(stage.lostPeers).toEqual(['c']);
    open({ epoch: 2, awaitsResume: true });
    stage.resume({ sequence: 1, epoch: 2, position: 128, next: 0 });
    expect(chunks('c').slice(1)).toEqual(['0+64 truncate', '64+64']);
    expect(stage.lostPeers).toEqual([]);
  });

  it('are sent again from where the stage before computes again', async () => {
    open();
    for (let position = 0; position < 192; position += 64) receive(position, 64);
    await turns(4);
    receive(100, 20, { truncate: true });
    await turns(2);
    expect(chunks('c')).toEqual(['0+64', '64+64', '128+64', '100+20 truncate']);
  });

  it('are acknowledged by the next stage of this epoch alone', async () => {
    open();
    for (let position = 0; position < 64 * 6; position += 64) receive(position, 64);
    await turns(12);
    expect(chunks('c')).toHaveLength(MAX_UNACKED_CHUNKS);
    acknowledge(0, { epoch: 2 });
    acknowledge(0, { from: 'a' });
    await turns(2);
    expect(chunks('c')).toHaveLength(MAX_UNACKED_CHUNKS);
    expect(told.slice(1)).toEqual(['refused: EPOCH_STALE', 'refused: FRAME_INVALID']);
    acknowledge(0);
    await turns(2);
    expect(chunks('c')).toHaveLength(MAX_UNACKED_CHUNKS + 1);
  });
});

describe('the last stage', () => {
  /** Alone on the route, so that it is the first too: it feeds itself. */
  const route = routeThrough(['a'], deal(FAKE_SPEC.layers, 1));
  const tokens: { epoch: number; position: number }[] = [];
  const retoldFrom: number[] = [];
  let last: Stage;
  let wholeEngine: FakeEngine;

  beforeEach(() => {
    tokens.length = 0;
    retoldFrom.length = 0;
    wholeEngine = new FakeEngine(deal(FAKE_SPEC.layers, 1)[0]!, { onStep: () => turns(1) });
    last = new Stage({
      engine: wholeEngine,
      kept: new KeptBudget(),
      isLinked: () => linked,
      send: async (to, frame) => {
        sent.push({ to, frame });
        if (linked) setImmediate(() => last.receive('a', frame));
      },
      events: {
        opened: () => {},
        tokens: (picks) => {
          for (const { id, token } of picks) tokens.push({ epoch: id.epoch, position: token.position });
        },
        retold: ({ epoch }, from, picked) => {
          retoldFrom.push(from);
          for (const { position } of picked) tokens.push({ epoch, position });
        },
        sequenceFailed: (_, error) => told.push(error.code),
        refused: (error) => told.push(error.code),
        stageFailed: () => {},
      },
    });
    last.open(opening());
  });

  const opening = (): OpenSequence => ({
    sequence: 1,
    epoch: 1,
    index: 0,
    route,
    wire: 'f16',
    maxPositions: 8,
    eosTokenIds: [],
    sampling: GREEDY,
    promptTokens: 3,
    known: 3,
    awaitsResume: false,
  });
  const feed = (epoch: number, position: number, ids: number[]) =>
    last.prompt({ sequence: 1, epoch, position, ids, last: true });

  it('tells its tokens again from a position on, until it is closed', async () => {
    feed(1, 0, [1, 2, 3]);
    await turns(30);
    expect(tokens.map(({ position }) => position)).toEqual([3, 4, 5, 6, 7]);
    tokens.length = 0;
    last.retell({ sequence: 1, epoch: 1, position: 6 });
    expect(tokens.map(({ position }) => position)).toEqual([6, 7]);
    last.close(1);
    last.retell({ sequence: 1, epoch: 1, position: 6 });
    expect(tokens).toHaveLength(2);
    expect(retoldFrom).toEqual([6]);
  });

  it('says from where on it can tell them, which is not before it became the last', () => {
    last.open({ ...opening(), sequence: 2, epoch: 4, known: 6, awaitsResume: true });
    last.retell({ sequence: 2, epoch: 4, position: 3 });
    expect([retoldFrom, tokens]).toEqual([[6], []]);
  });

  it('tells those of before it became the last, too, where it was given them', () => {
    last.open({ ...opening(), sequence: 2, epoch: 4, known: 6, awaitsResume: true });
    last.resume({ sequence: 2, epoch: 4, position: 0, next: 0, ids: [7, 8, 9] });
    last.retell({ sequence: 2, epoch: 4, position: 4 });
    expect([retoldFrom, tokens.map(({ position }) => position)]).toEqual([[4], [4, 5]]);
  });

  it('picks again those that the server has not heard, and forgets that they waited for a link', async () => {
    linked = false;
    feed(1, 0, [1, 2, 3]);
    await turns(5);
    expect(tokens).toEqual([{ epoch: 1, position: 3 }]);
    last.open({ ...opening(), epoch: 2, awaitsResume: true });
    linked = true;
    last.linkOpened('a');
    await turns(5);
    expect(sent).toEqual([]);
    last.resume({ sequence: 1, epoch: 2, position: 2, next: 2 });
    feed(2, 2, [3]);
    await turns(30);
    expect(tokens.slice(1).map(({ epoch, position }) => [epoch, position])).toEqual(
      [3, 4, 5, 6, 7].map((position) => [2, position]),
    );
    expect(told).toEqual([]);
  });

  it('still has those of before when it moves', async () => {
    feed(1, 0, [1, 2, 3]);
    await turns(30);
    last.open({ ...opening(), epoch: 2, known: 5, awaitsResume: true });
    last.retell({ sequence: 1, epoch: 2, position: 0 });
    expect(tokens.slice(5)).toEqual([
      { epoch: 2, position: 3 },
      { epoch: 2, position: 4 },
    ]);
  });

  it('tells no token of a time when another was the last, and leaves no gap', async () => {
    feed(1, 0, [1, 2, 3]);
    await turns(30);
    wholeEngine.canComputePart = true;
    const part = routeThrough(['a', 'b'], deal(FAKE_SPEC.layers, 2));
    last.open({ ...opening(), epoch: 2, route: part, known: 5, awaitsResume: true });
    last.open({ ...opening(), epoch: 3, known: 7, awaitsResume: true });
    last.resume({ sequence: 1, epoch: 3, position: 0, next: 0 });
    feed(3, 0, [1, 2, 3, 4, 5, 6, 7]);
    await turns(10);
    tokens.length = 0;
    last.retell({ sequence: 1, epoch: 3, position: 0 });
    expect(tokens).toEqual([{ epoch: 3, position: 7 }]);
    expect(retoldFrom).toEqual([7]);
    expect(told).toEqual([]);
  });
});
