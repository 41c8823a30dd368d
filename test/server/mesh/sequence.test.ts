import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GenerateRequest } from '../../../src/backend/fxn/generator.ts';
import {
  MIN_PATIENCE_MS,
  OPEN_DEADLINE_MS,
  PREFILL_MS_PER_POSITION,
  TOKEN_DEADLINE_MS,
} from '../../../src/config/limits.ts';
import type { ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { GREEDY } from '../../../src/model/sampling.ts';
import { Peer } from '../../../src/server/mesh/peers/peer.ts';
import type { MeshRoute } from '../../../src/server/mesh/routes/mesh-route.ts';
import { Patience } from '../../../src/server/mesh/sequences/patience.ts';
import { PrefillQueue } from '../../../src/server/mesh/sequences/prefill-queue.ts';
import { Sequence } from '../../../src/server/mesh/sequences/sequence.ts';
import { FakeTimers } from '../../support/fake-timers.ts';

const PROMPT = [11, 22, 33, 44, 55];
const VOCAB = 100;
const never = new AbortController().signal;

interface Listener {
  readonly peer: Peer;
  readonly heard: ServerMessage[];
}

let timers: FakeTimers;
let told: string[];
let queue: PrefillQueue;
let patience: Patience;

function worker(name: string): Listener {
  const heard: ServerMessage[] = [];
  const connection = { send: (message: ServerMessage) => void heard.push(message), close: () => {} };
  return { peer: new Peer(`p-${name}`, name, connection), heard };
}

/** Layers one by one, in the order of the workers. */
const routeOver = (...workers: readonly Listener[]): MeshRoute => ({
  stops: workers.map(({ peer }, index) => ({ peer, shard: 7, start: index, end: index + 1 })),
});

function sequence(over: Partial<GenerateRequest> = {}, ids: readonly number[] = PROMPT): Sequence {
  return new Sequence({
    id: 3,
    request: { prompt: PROMPT, maxTokens: 20, eosTokenIds: [], sampling: GREEDY, ...over },
    ids,
    vocab: VOCAB,
    timers,
    queue,
    patience,
    events: {
      opened: (positions) => told.push(`opened: ${positions.join(' ')}`),
      failed: (error, by) => told.push(`failed ${error.code} by ${by?.name ?? 'nobody'}`),
      unresponsive: (peers) => told.push(`silent: ${peers.map(({ name }) => name).join()}`),
      stalled: () => told.push('stalled'),
    },
  });
}

const opened = (position = 0, epoch = 1, keptFrom = 0) =>
  ({ type: 'opened', sequence: 3, epoch, position, keptFrom }) as const;
const token = (id: number, position: number, epoch = 1, finish: 'stop' | 'length' | null = null) =>
  ({ type: 'token', sequence: 3, epoch, position, token: id, finish }) as const;
const types = ({ heard }: Listener) => heard.map(({ type }) => type);
/** Forgets what was heard so far. */
const since = (...workers: readonly Listener[]) => {
  for (const { heard } of workers) heard.length = 0;
};

beforeEach(() => {
  timers = new FakeTimers();
  told = [];
  queue = new PrefillQueue();
  patience = new Patience(queue, () => 0);
});

describe('a sequence', () => {
  it('opens on all stages, then gives the ids to the first', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence();
    it.moveTo(routeOver(a, b), 'f16');
    expect(a.heard[0]).toMatchObject({
      type: 'open',
      sequence: 3,
      epoch: 1,
      shard: 7,
      index: 0,
      route: [
        { peer: 'p-a', start: 0, end: 1 },
        { peer: 'p-b', start: 1, end: 2 },
      ],
      known: 5,
      maxPositions: 25,
      awaitsResume: false,
    });
    expect(it.opened(a.peer, opened())).toBe('taken');
    expect(it.opened(a.peer, opened())).toBe('seen before');
    expect(types(a)).toEqual(['open']);
    expect(it.opened(b.peer, opened())).toBe('taken');
    expect(a.heard[1]).toEqual({
      type: 'prompt',
      sequence: 3,
      epoch: 1,
      position: 0,
      ids: PROMPT,
      last: true,
    });
    expect(types(b)).toEqual(['open']);
    expect(it.token(b.peer, token(9, 5))).toBe('taken');
    expect(await it.next(never)).toMatchObject({ id: 9, epoch: 1 });
    it.close();
    expect(types(a)).toEqual(['open', 'prompt', 'close']);
    expect(timers.pending).toBe(0);
  });

  it('that loses a stage goes on under the next epoch: only the new stage computes from the start', () => {
    const [a, b, c, d] = [worker('a'), worker('b'), worker('c'), worker('d')];
    const it = sequence();
    it.moveTo(routeOver(a, b, c), 'f32');
    for (const { peer } of [a, b, c]) it.opened(peer, opened());
    it.token(c.peer, token(66, 5));
    since(a, b, c);

    it.fail(new Error('b is gone') as never);
    it.moveTo(routeOver(a, d, c), 'f32');
    expect(types(b)).toEqual(['close']);
    expect(d.heard[0]).toMatchObject({ type: 'open', epoch: 2, index: 1, known: 6, awaitsResume: true });
    // The epoch before is over, for tokens as for anything else.
    expect(it.token(c.peer, token(67, 6))).toBe('of an older route');
    expect(it.opened(a.peer, opened(5, 1))).toBe('of an older route');
    it.opened(a.peer, opened(5, 2));
    it.opened(c.peer, opened(5, 2));
    it.opened(d.peer, opened(0, 2));
    const resume = { type: 'resume', sequence: 3, epoch: 2 };
    expect(a.heard.slice(1)).toEqual([
      { ...resume, position: 5, next: 0 },
      { type: 'prompt', sequence: 3, epoch: 2, position: 5, ids: [66], last: true },
    ]);
    expect(d.heard.slice(1)).toEqual([{ ...resume, position: 0, next: 5 }]);
    expect(c.heard.slice(1)).toEqual([{ ...resume, position: 5, next: 5 }]);
    expect(told).toEqual(['opened: 5 5 5', expect.stringContaining('failed'), 'opened: 1 6 1']);
    it.close();
  });

  it.each([
    ['tells a new last stage what was picked before it', undefined, { ids: [66, 67] }],
    ['does not where log probabilities are asked for, which are not known here', 1, {}],
  ])('%s', (_what, topLogprobs, ids) => {
    const [a, b, c] = [worker('a'), worker('b'), worker('c')];
    const it = sequence(topLogprobs === undefined ? {} : { topLogprobs });
    it.moveTo(routeOver(a, b), 'f32');
    for (const { peer } of [a, b]) it.opened(peer, opened());
    const logprobs = topLogprobs && { logprobs: { picked: -1, top: [[1, -1]] } };
    for (const [index, id] of [66, 67].entries()) {
      expect(it.token(b.peer, { ...token(id, 5 + index), ...logprobs } as ReturnType<typeof token>)).toBe(
        'taken',
      );
    }
    since(a, b);
    it.fail(new Error('b is gone') as never);
    it.moveTo(routeOver(a, c), 'f32');
    it.opened(a.peer, opened(6, 2));
    it.opened(c.peer, opened(0, 2));
    const resume = { type: 'resume', sequence: 3, epoch: 2 };
    expect(c.heard[1]).toEqual({ ...resume, position: 0, next: 0, ...ids });
    // Another route later: it holds them.
    it.fail(new Error('a link is gone') as never);
    it.moveTo(routeOver(a, c), 'f32');
    it.opened(a.peer, opened(6, 3));
    it.opened(c.peer, opened(6, 3));
    expect(c.heard.at(-1)).toEqual({ ...resume, epoch: 3, position: 6, next: 6 });
    it.close();
  });

  it('tells the last stage all ids where a penalty needs them', () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence({ sampling: { ...GREEDY, repetitionPenalty: 1.1 } }, [...PROMPT, 66]);
    it.moveTo(routeOver(a, b), 'f32');
    for (const { peer } of [a, b]) it.opened(peer, opened());
    expect(b.heard[1]).toMatchObject({ type: 'prompt', position: 0, ids: [...PROMPT, 66] });
    it.close();
  });

  it('takes tokens of a route that is given up until the next one opens', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence();
    it.moveTo(routeOver(a), 'f32');
    it.opened(a.peer, opened());
    it.fail(new Error('a drains') as never);
    expect(it.state).toBe('adrift');
    expect(it.token(a.peer, token(66, 5))).toBe('taken');
    expect(await it.next(never)).toMatchObject({ id: 66 });
    it.moveTo(routeOver(b), 'f32');
    expect(b.heard[0]).toMatchObject({ known: 6 });
    it.close();
  });

  it.each([
    ['a token beyond the vocabulary', token(VOCAB, 5), 'failed PROTOCOL_INVALID by a'],
    ['a token beyond the next position', token(1, 6), 'failed POSITION_GAP by a'],
  ])('fails of %s, by who sent it', (_what, message, expected) => {
    const a = worker('a');
    const it = sequence();
    it.moveTo(routeOver(a), 'f32');
    it.opened(a.peer, opened());
    expect(it.token(a.peer, message)).toBe('an offence');
    expect(told.at(-1)).toBe(expected);
    it.close();
  });

  it.each([
    ['more positions than there are', opened(5)],
    ['rows that it cannot have', opened(2, 1, 3)],
  ])('fails of a stage that says it holds %s', (_what, message) => {
    const a = worker('a');
    const it = sequence();
    it.moveTo(routeOver(a), 'f32');
    expect(it.opened(a.peer, message)).toBe('an offence');
    expect(told).toEqual(['failed PROTOCOL_INVALID by a']);
    it.close();
  });

  it('refuses what is not from the last stage, not open, or seen before', () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence();
    it.moveTo(routeOver(a, b), 'f32');
    expect(it.token(b.peer, token(1, 5))).toBe('not open');
    for (const { peer } of [a, b]) it.opened(peer, opened());
    expect(it.token(a.peer, token(1, 5))).toBe('not the last stage');
    expect(it.token(b.peer, token(1, 4))).toBe('seen before');
    it.close();
    expect(it.token(b.peer, token(1, 5))).toBe('ended');
  });

  it('waits so long for stages to open, and so long for a token', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence();
    it.moveTo(routeOver(a, b), 'f32');
    it.opened(a.peer, opened());
    await timers.advance(OPEN_DEADLINE_MS);
    expect(told).toEqual(['failed DEADLINE_EXCEEDED by nobody', 'silent: b']);
    it.moveTo(routeOver(a), 'f32');
    it.opened(a.peer, opened(0, 2));
    it.token(a.peer, token(66, 5, 2));
    await timers.advance(TOKEN_DEADLINE_MS);
    expect(told.slice(2)).toEqual(['opened: 5', 'failed DEADLINE_EXCEEDED by nobody', 'stalled']);
    it.close();
    expect(timers.pending).toBe(0);
  });

  it('waits no longer for a token than its workers’ rounds have shown to be enough', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const one = sequence();
    one.moveTo(routeOver(a, b), 'f32');
    for (const { peer } of [a, b]) one.opened(peer, opened());
    for (let position = 5; position < 15; position++) {
      one.token(b.peer, token(1, position));
      await timers.advance(100);
    }
    await timers.advance(MIN_PATIENCE_MS - 101);
    expect(told).toEqual(['opened: 5 5']);
    await timers.advance(1);
    expect(told.slice(1)).toEqual(['failed DEADLINE_EXCEEDED by nobody', 'stalled']);
    // The same for the first token of its next route, over workers that are known.
    one.moveTo(routeOver(b, a), 'f32');
    for (const { peer } of [a, b]) one.opened(peer, opened(0, 2));
    await timers.advance(MIN_PATIENCE_MS + 15 * PREFILL_MS_PER_POSITION);
    expect(told.slice(4)).toEqual(['failed DEADLINE_EXCEEDED by nobody', 'stalled']);
    one.close();
    expect(timers.pending).toBe(0);
  });

  it('waits no longer for a long prompt than its stages’ measured rates have shown to be enough', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const quiet = { tokensPerSecond: 0, sequences: 1, bytesSent: 0, bytesReceived: 0, hop: null, links: [] };
    const rates = { ...quiet, type: 'stats', prefillRowsPerSecond: 2_000, freePositions: 0 } as const;
    for (const { peer } of [a, b]) peer.stats = { ...rates };
    const one = sequence();
    one.moveTo(routeOver(a, b), 'f32');
    for (const { peer } of [a, b]) one.opened(peer, opened());
    for (let position = 5; position < 15; position++) {
      one.token(b.peer, token(1, position));
      await timers.advance(100);
    }
    one.close();
    const prompt = Array.from({ length: 4_000 }, () => 1);
    const long = sequence({ prompt }, prompt);
    told = [];
    long.moveTo(routeOver(a, b), 'f32');
    for (const { peer } of [a, b]) long.opened(peer, opened());
    await timers.advance(MIN_PATIENCE_MS + 4_000 * 5 - 1);
    expect(told).toEqual(['opened: 4000 4000']);
    await timers.advance(1);
    expect(told.slice(1)).toEqual(['failed DEADLINE_EXCEEDED by nobody', 'stalled']);
    long.close();
    expect(timers.pending).toBe(0);
  });

  it('that is taken up after the server was away asks the last stage for what it has missed', async () => {
    const [a, b] = [worker('a'), worker('b')];
    const it = sequence({ maxTokens: 1 });
    it.adopt(routeOver(a, b), 4, 'f16');
    expect(a.heard).toEqual([]);
    expect(b.heard).toEqual([{ type: 'retell', sequence: 3, epoch: 4, position: 5 }]);
    expect(it.token(b.peer, token(66, 5, 4, 'length'))).toBe('taken');
    expect(await it.next(never)).toMatchObject({ id: 66, finish: 'length' });
    it.close();
    expect(types(a)).toEqual(['close']);
  });

  describe('whose last stage was asked to tell tokens again', () => {
    const retold = (position: number, ids: readonly number[], last = true, epoch = 4) =>
      ({
        type: 'retold',
        sequence: 3,
        epoch,
        position,
        tokens: ids.map((id) => ({ token: id, finish: null })),
        last,
      }) as const;
    let [a, b] = [worker('a'), worker('b')];
    let it_: Sequence;

    beforeEach(() => {
      [a, b] = [worker('a'), worker('b')];
      it_ = sequence();
      it_.adopt(routeOver(a, b), 4, 'f16');
    });
    afterEach(() => {
      it_.close();
      expect(timers.pending).toBe(0);
    });

    it('takes them in order, whatever comes before them', async () => {
      expect(it_.token(b.peer, token(77, 7, 4))).toBe('to be told again');
      expect(it_.token(b.peer, token(88, 8, 4))).toBe('to be told again');
      expect(it_.retold(b.peer, retold(5, [55, 66], false))).toBe('taken');
      expect(it_.token(b.peer, token(99, 9, 4))).toBe('to be told again');
      expect(it_.retold(b.peer, retold(7, [77, 88, 99]))).toBe('taken');
      expect(it_.token(b.peer, token(10, 10, 4))).toBe('taken');
      const ids = [];
      for (let count = 0; count < 6; count++) ids.push((await it_.next(never)).id);
      expect(ids).toEqual([55, 66, 77, 88, 99, 10]);
      expect(told).toEqual([]);
    });

    it('takes the next where none was lost, and what is told again counts once', () => {
      expect(it_.token(b.peer, token(55, 5, 4))).toBe('taken');
      expect(it_.token(b.peer, token(66, 6, 4))).toBe('taken');
      expect(it_.retold(b.peer, retold(5, [55, 66]))).toBe('taken');
      expect(it_.known).toBe(7);
      expect(told).toEqual([]);
    });

    it('blames a gap only after that, and takes nothing unasked', () => {
      expect(it_.retold(a.peer, retold(5, [55]))).toBe('not the last stage');
      expect(it_.retold(b.peer, retold(5, [55], true, 3))).toBe('of an older route');
      expect(it_.retold(b.peer, retold(5, [55]))).toBe('taken');
      expect(it_.retold(b.peer, retold(6, [66]))).toBe('seen before');
      expect(it_.token(b.peer, token(77, 7, 4))).toBe('an offence');
      expect(told).toEqual(['failed POSITION_GAP by b']);
    });

    it('goes on from what is known where nobody has them any more, and blames nobody', () => {
      expect(it_.retold(b.peer, retold(9, [99]))).toBe('taken');
      expect(told).toEqual(['failed PIPELINE_LOST by nobody']);
      it_.moveTo(routeOver(a, b), 'f16');
      expect(b.heard.at(-1)).toMatchObject({ type: 'open', epoch: 5, known: 5 });
    });

    it('is of no route for ever: a stage that never answers is noticed', async () => {
      it_.token(b.peer, token(77, 7, 4));
      await timers.advance(TOKEN_DEADLINE_MS);
      expect(told).toEqual(['failed DEADLINE_EXCEEDED by nobody', 'stalled']);
    });

    it('checks them as it checks others', () => {
      expect(it_.retold(b.peer, retold(5, [VOCAB]))).toBe('an offence');
      expect(told).toEqual(['failed PROTOCOL_INVALID by b']);
    });
  });
});
