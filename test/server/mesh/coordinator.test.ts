import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode, ShoalError } from '../../../src/config/errors.ts';
import {
  MAX_CONCURRENT_REQUESTS,
  MAX_PROMPT_IDS_PER_MESSAGE,
  MAX_RESTARTS,
  MAX_SEQUENCES_PER_STAGE,
  MAX_STRIKES,
  OPEN_DEADLINE_MS,
  PIPELINE_WAIT_MS,
  PREFILL_MS_PER_POSITION,
  SUSPICION_MS,
  TOKEN_DEADLINE_MS,
  UNMEASURED_PATIENCE_MS,
  WORKER_BACKOFF_MIN_MS,
} from '../../../src/config/limits.ts';
import { GREEDY } from '../../../src/model/sampling.ts';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker, fakeLogprobs } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

let harness: Harness;
const generate = (over = {}, signal = never()) => harness.mesh.coordinator.generate(request(over), signal);
const openSequences = () => harness.workers.reduce((sum, { sequences }) => sum + sequences.size, 0);

type OnToken = NonNullable<FakeWorker['misbehaviour']['onToken']>;
const fails =
  (code: ErrorCode) =>
  (worker: FakeWorker, { epoch, sequence }: Parameters<OnToken>[1]) =>
    worker.send({ type: 'sequence-failed', epoch, sequence, error: { code, message: 'made up' } });

/** What a generation that waits for excluded workers fails with; `passTime` is called until then. */
async function failureOf(events: ReturnType<typeof generate>, passTime: () => void): Promise<ShoalError> {
  let error: ShoalError | null = null;
  collect(events).catch((thrown) => {
    error = thrown;
  });
  await until(() => {
    if (error === null && !harness.mesh.routes.outlook.ready && !harness.mesh.routes.outlook.isComing)
      passTime();
    return error !== null;
  }, 'the generation fails');
  return error!;
}

beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a generation', () => {
  it.each([1, 3, 8])('over %i workers gives the model’s tokens and frees everything', async (count) => {
    await harness.stop();
    harness = await Harness.start({ expectWorkers: count });
    await harness.joinAll(Array.from({ length: count }, (_, i) => `w${i}`));
    const answer = await collect(generate());
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.finish).toBe('length');
    expect(answer.restarts).toEqual([0]);
    expect(answer.served[0]).toHaveLength(count);
    await until(() => openSequences() === 0);
    expect(harness.mesh.coordinator.inFlight).toBe(0);
    expect(harness.mesh.coordinator.running).toBe(0);
  });

  it('ends with stop at an end-of-sequence id, which it delivers', async () => {
    await harness.joinAll(['a', 'b']);
    const eos = expectedIds(PROMPT, 6)[5]!;
    const answer = await collect(generate({ eosTokenIds: [eos] }));
    expect(answer.finish).toBe('stop');
    expect(answer.ids).toEqual(expectedIds(PROMPT, 6));
  });

  it('sends the prompt in chunks, to the last stage only for penalties, and `open` before either', async () => {
    const [first, second] = await harness.joinAll(['a', 'b']);
    const prompt = Array.from({ length: MAX_PROMPT_IDS_PER_MESSAGE + 10 }, (_, i) => i % 900);
    const answer = await collect(generate({ prompt, maxTokens: 3 }));
    expect(answer.ids).toEqual(expectedIds(prompt, 3));
    expect(first!.messages('prompt').map(({ ids, last }) => [ids.length, last])).toEqual([
      [MAX_PROMPT_IDS_PER_MESSAGE, false],
      [10, true],
    ]);
    expect(second!.messages('prompt')).toEqual([]);
    await collect(generate({ sampling: { ...GREEDY, repetitionPenalty: 1.1 } }));
    expect(second!.messages('prompt').map(({ ids }) => ids)).toEqual([PROMPT]);
    expect(second!.messages('open')[0]).toMatchObject({ promptTokens: prompt.length, wire: 'f16' });
  });

  it('brings log probabilities where they are asked for, through a departure, too', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const ids = expectedIds(PROMPT, 12);
    const answer = await collect(generate({ maxTokens: 12, topLogprobs: 2 }), async (count) => {
      if (count !== 5) return;
      harness.byName(harness.live.at(-1)!).kill();
    });
    expect(answer.ids).toEqual(ids);
    expect(answer.restarts).toEqual([0, 1]);
    expect(answer.logprobs).toEqual(ids.map((id) => fakeLogprobs(id, 2)));
    expect(
      [a!, b!].flatMap((worker) => worker.messages('open')).every((open) => open.topLogprobs === 2),
    ).toBe(true);
    const without = await collect(generate());
    expect(without.logprobs).toEqual([]);
  });

  it('runs several at once, each with its own tokens', async () => {
    await harness.joinAll(['a', 'b', 'c']);
    const prompts = Array.from({ length: 20 }, (_, i) => [i, i + 1, i + 2]);
    const answers = await Promise.all(prompts.map((prompt) => collect(generate({ prompt }))));
    expect(answers.map(({ ids }) => ids)).toEqual(prompts.map((prompt) => expectedIds(prompt, 20)));
  });

  it('lets those beyond the stages’ room wait their turn, and refuses those beyond the limit', async () => {
    const [worker] = await harness.joinAll(['a']);
    const held: (() => void)[] = [];
    worker!.misbehaviour = { onToken: (_w, _t, send) => held.push(send) };
    const answers = Array.from({ length: MAX_CONCURRENT_REQUESTS }, () =>
      collect(generate({ maxTokens: 1 })),
    );
    await until(() => held.length === MAX_SEQUENCES_PER_STAGE);
    expect(harness.mesh.coordinator.inFlight).toBe(MAX_CONCURRENT_REQUESTS);
    await expect(collect(generate())).rejects.toMatchObject({ code: 'OVERLOADED', retryAfterSeconds: 2 });
    expect(worker!.sequences.size).toBe(MAX_SEQUENCES_PER_STAGE);
    worker!.misbehaviour = {};
    for (const send of held) send();
    for (const { ids } of await Promise.all(answers)) expect(ids).toEqual(expectedIds(PROMPT, 1));
  });

  it('gives a newcomer the place that another client has too many of', async () => {
    const [worker] = await harness.joinAll(['a']);
    const held: (() => void)[] = [];
    worker!.misbehaviour = { onToken: (_w, _t, send) => held.push(send) };
    const greedy = Array.from({ length: MAX_CONCURRENT_REQUESTS }, () =>
      collect(generate({ maxTokens: 1, client: 'greedy' })).catch((error: unknown) => error),
    );
    await until(() => held.length === MAX_SEQUENCES_PER_STAGE);
    const modest = collect(generate({ maxTokens: 1, client: 'modest' }));
    // The newest of the greedy one's.
    expect(await greedy.at(-1)).toMatchObject({ code: 'OVERLOADED', retryAfterSeconds: 2 });
    expect(harness.mesh.coordinator.inFlight).toBe(MAX_CONCURRENT_REQUESTS);
    worker!.misbehaviour = {};
    for (const send of held) send();
    expect((await modest).ids).toEqual(expectedIds(PROMPT, 1));
    await Promise.all(greedy);
  });
});

describe('a departure in mid-answer', () => {
  it.each(['a', 'b', 'c'])('of worker %s: the answer goes on with the same tokens', async (leaver) => {
    await harness.stop();
    harness = await Harness.start({ expectWorkers: 3 });
    await harness.joinAll(['a', 'b', 'c']);
    const first = harness.byName(harness.live[0]!);
    const answer = await collect(generate(), async (count) => {
      if (count !== 7) return;
      harness.byName(leaver).kill();
      await harness.untilLive(2);
    });
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.finish).toBe('length');
    // Tokens that were on their way when the worker was killed count too: the restart may come after more than 7.
    expect(answer.restarts[0]).toBe(0);
    const reopened = harness.workers
      .flatMap((worker) => worker.messages('open'))
      .filter(({ epoch }) => epoch > 1);
    expect(reopened).not.toEqual([]);
    for (const open of reopened) {
      expect(open.promptTokens).toBe(PROMPT.length);
      expect(open.maxPositions).toBe(PROMPT.length + 20);
      expect(open.sequence).toBe(first.messages('open')[0]?.sequence);
      expect(open.awaitsResume).toBe(true);
    }
  });

  it('is a pause: nothing is sent twice, and the replay holds what was generated', async () => {
    await harness.stop();
    harness = await Harness.start({ expectWorkers: 2 });
    await harness.joinAll(['a', 'b']);
    const last = harness.byName(harness.live[1]!);
    last.misbehaviour = { onToken: (_worker, token, send) => token.position < PROMPT.length + 5 && send() };
    const answer = await collect(generate(), (count) => {
      if (count === 5) last.kill();
    });
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.restarts).toEqual([0, 1]);
    expect(answer.served).toEqual([['a', 'b'], ['a']]);
    const replay = harness.byName('a').messages('prompt').at(-1)!;
    expect(replay.ids).toEqual([...PROMPT, ...expectedIds(PROMPT, 5)]);
  });

  it('waits for a new worker when nobody is left, and gives up after the deadline', async () => {
    const [only] = await harness.joinAll(['a']);
    only!.misbehaviour = { onToken: (_worker, token, send) => token.position < PROMPT.length + 3 && send() };
    const answer = collect(generate(), (count) => {
      if (count === 3) only!.kill();
    });
    await until(() => harness.mesh.routes.live === null);
    await harness.join('b');
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));

    const lost = collect(generate(), () => harness.byName('b').kill());
    const refused = expect(lost).rejects.toMatchObject({ code: 'NO_PIPELINE' });
    await until(() => harness.mesh.routes.live === null);
    harness.timers.advance(PIPELINE_WAIT_MS);
    await refused;
  });

  it('by leave and by a link that is down counts too', async () => {
    await harness.stop();
    harness = await Harness.start({ expectWorkers: 3 });
    await harness.joinAll(['a', 'b', 'c']);
    const leaver = harness.byName(harness.live[2]!);
    leaver.misbehaviour = { onToken: (_worker, token, send) => token.position < PROMPT.length + 4 && send() };
    const answer = await collect(generate(), (count) => {
      if (count === 4) leaver.send({ type: 'leave', reason: 'button' });
    });
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.restarts).toEqual([0, 1]);

    const [first, last] = harness.live.map((name) => harness.byName(name));
    last!.misbehaviour = { onToken: (_worker, token, send) => token.position < PROMPT.length + 4 && send() };
    const next = await collect(generate(), (count) => {
      if (count !== 4) return;
      const error = { code: 'LINK_FAILED', message: 'silent' } as const;
      first!.send({ type: 'link', peer: last!.id, state: 'down', error });
    });
    expect(next.ids).toEqual(expectedIds(PROMPT, 20));
    expect(next.served).toEqual([[first!.name, last!.name], [first!.name]]);
  });
});

describe('a stage that misbehaves', () => {
  it('and repeats tokens, sends them for others or out of turn: never changes the text', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = {
      onToken: (worker, token, send) => {
        worker.send({ ...token, epoch: token.epoch + 1, token: 1 });
        worker.send({ ...token, sequence: token.sequence + 1, token: 2 });
        worker.send({ ...token, position: token.position - 1, token: 3 });
        worker.send({ ...token, token: 5, epoch: 0 });
        // Only the last stage may say what comes next, even when another says it first.
        first!.send({ ...token, token: 4 });
        void harness.heard(first!).then(() => {
          send();
          worker.send({ ...token, token: 6 });
        });
      },
    };
    const answer = await collect(generate());
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.restarts).toEqual([0]);
  });

  it('and loses a token: the answer starts again from where it was', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    let dropped = false;
    last!.misbehaviour = {
      onToken: (worker, token, send) => {
        if (dropped || token.position !== PROMPT.length + 6) return send();
        dropped = true;
        worker.send({ ...token, position: token.position + 1, token: 7 });
      },
    };
    const answer = await collect(generate());
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.restarts).toEqual([0, 1]);
  });

  it('and stalls: the answer starts again after the deadline', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    let stalled = false;
    last!.misbehaviour = {
      onToken: (_worker, token, send) => {
        if (!stalled && token.position === PROMPT.length + 6) stalled = true;
        else send();
      },
    };
    let count = 0;
    const answer = collect(generate(), (tokens) => {
      count = tokens;
    });
    await until(() => stalled && count === 6);
    harness.timers.advance(TOKEN_DEADLINE_MS);
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
    expect((await answer).restarts).toEqual([0, 1]);
  });

  it('and leaves log probabilities out, or tells too few: the answer goes on with them', async () => {
    const [a] = await harness.joinAll(['a']);
    const bad = new Map([
      [PROMPT.length + 4, {}],
      [PROMPT.length + 8, { logprobs: fakeLogprobs(1, 1) }],
    ]);
    a!.misbehaviour.onToken = (worker, token, send) => {
      const logprobs = bad.get(token.position);
      if (!bad.delete(token.position)) return send();
      const { logprobs: _, ...bare } = token;
      worker.send({ ...bare, ...logprobs });
    };
    const answer = await collect(generate({ topLogprobs: 3 }));
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.logprobs).toEqual(answer.ids.map((id) => fakeLogprobs(id, 3)));
    expect(answer.restarts).toEqual([0, 1, 2]);
  });

  it('and ends early without reason: the answer goes on', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    let lied = false;
    last!.misbehaviour = {
      onToken: (worker, token, send) => {
        if (lied || token.position !== PROMPT.length + 2) return send();
        lied = true;
        worker.send({ ...token, finish: 'length' });
      },
    };
    expect((await collect(generate())).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('and does not open the sequence: it is left out, the others answer', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { open: 'silent' };
    const answer = collect(generate());
    await until(() => last!.messages('open').length === 1 && first!.sequences.size === 1);
    await harness.heard(first!);
    harness.timers.advance(OPEN_DEADLINE_MS);
    expect((await answer).served).toEqual([['a']]);
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
    expect(harness.mesh.rows().workers.find(({ name }) => name === 'b')?.problem).toMatch('did not answer');
  });

  it('and fails every time is left out, and the others answer', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { onToken: fails('POSITION_GAP') };
    const answer = await collect(generate());
    expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
    expect(answer.served).toEqual([['a']]);
    expect(last!.messages('open')).toHaveLength(MAX_STRIKES);
    expect(harness.mesh.rows().workers.find(({ name }) => name === 'b')?.problem).toContain('POSITION_GAP');
    await until(() => openSequences() === 0);
  });

  it('and fails now and then stays: a token between ends the row', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    const failed = new Set<number>();
    last!.misbehaviour = {
      onToken: (worker, token, send) => {
        if (token.position % 2 === 0 && !failed.has(token.position)) {
          failed.add(token.position);
          fails('INTERNAL')(worker, token);
        } else send();
      },
    };
    // More often than MAX_RESTARTS in all: each time the answer got further.
    const answer = await collect(generate({ maxTokens: 2 * MAX_RESTARTS + 6 }));
    expect(answer.ids).toEqual(expectedIds(PROMPT, 2 * MAX_RESTARTS + 6));
    expect(answer.restarts.at(-1)).toBe(failed.size);
    expect(failed.size).toBeGreaterThan(MAX_RESTARTS);
    expect(harness.live).toEqual(['a', 'b']);
  });

  it('and always fails where all do: PIPELINE_LOST in our own words, after MAX_RESTARTS', async () => {
    const workers = await harness.joinAll(['a', 'b']);
    for (const worker of workers) worker.misbehaviour = { onToken: fails('POSITION_GAP') };
    const error = await failureOf(generate(), () => harness.timers.advance(WORKER_BACKOFF_MIN_MS));
    expect(error).toMatchObject({ code: 'PIPELINE_LOST' });
    expect(error.message).toContain(`${MAX_RESTARTS} times`);
    expect(error.message).not.toContain('made up');
  });

  it.each(['ABORTED', 'INVALID_REQUEST', 'CONTEXT_LENGTH_EXCEEDED', 'FORBIDDEN'] as const)(
    'and says %s: the request goes on, for it is not the worker’s to end',
    async (code) => {
      const [, last] = await harness.joinAll(['a', 'b']);
      let said = false;
      last!.misbehaviour = {
        onToken: (worker, token, send) => {
          if (said) return send();
          said = true;
          fails(code)(worker, token);
        },
      };
      const answer = await collect(generate());
      expect(answer.ids).toEqual(expectedIds(PROMPT, 20));
      expect(answer.restarts).toEqual([1]);
    },
  );

  it('and says NON_FINITE: it is left out, and the request ends only when another says it too', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { onToken: fails('NON_FINITE') };
    const answer = await collect(generate());
    expect(answer).toMatchObject({ ids: expectedIds(PROMPT, 20), served: [['a']] });
    first!.misbehaviour = { onToken: fails('NON_FINITE') };
    last!.misbehaviour = { onToken: fails('NON_FINITE') };
    const error = await failureOf(generate(), () => harness.timers.advance(WORKER_BACKOFF_MIN_MS));
    expect(error.code).toBe('NON_FINITE');
    expect(error.message).not.toContain('made up');
  });

  it('and is silent though it opens sequences: the pipeline is placed anew without a suspect', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { onToken: () => {} };
    const answer = collect(generate());
    for (let strike = 1; strike <= MAX_STRIKES; strike++) {
      await until(() => first!.messages('prompt').length === strike);
      // Shaders may be compiled for a fresh answer.
      const tokenMs = strike === 1 ? TOKEN_DEADLINE_MS : UNMEASURED_PATIENCE_MS;
      harness.timers.advance(tokenMs + PROMPT.length * PREFILL_MS_PER_POSITION);
    }
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
    expect((await answer).served).toEqual([['a']]);
    // It stays out for longer than the first back-off, while the rest serves.
    harness.timers.advance(WORKER_BACKOFF_MIN_MS);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.live).toEqual(['a']);
    last!.misbehaviour = {};
    harness.timers.advance(SUSPICION_MS);
    await harness.untilLive(2);
  });

  it('and leaves f16’s range: the answer starts again with f32', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { open: 'F16_RANGE with f16' };
    expect((await collect(generate())).ids).toEqual(expectedIds(PROMPT, 20));
    expect(first!.messages('open').map(({ wire }) => wire)).toEqual(['f16', 'f32']);
  });

  it('and is silent as the first of two: the last is suspected first, and serves in the end', async () => {
    const [first, last] = await harness.joinAll(['a', 'b']);
    first!.misbehaviour = { onToken: () => {} };
    last!.misbehaviour = {
      onToken: (worker, { sequence }, send) =>
        worker.sequences.get(sequence)!.open.route.length === 1 && send(),
    };
    const answer = collect(generate());
    for (let strike = 1; strike <= 2 * MAX_STRIKES; strike++) {
      await until(() => first!.messages('prompt').length === strike);
      // Shaders may be compiled for a fresh answer.
      const tokenMs = strike === 1 ? TOKEN_DEADLINE_MS : UNMEASURED_PATIENCE_MS;
      harness.timers.advance(tokenMs + PROMPT.length * PREFILL_MS_PER_POSITION);
    }
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
    expect((await answer).served).toEqual([['b']]);
  });

  it('and has no room for a while: the sequence waits for it', async () => {
    const [, last] = await harness.joinAll(['a', 'b']);
    last!.misbehaviour = { open: 'SEQUENCE_LIMIT' };
    const answer = collect(generate());
    // The third refusal in a row would count against it.
    await until(() => last!.messages('open').length >= 1);
    last!.misbehaviour = {};
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
    expect((await answer).restarts).toEqual([0]);
    expect(harness.live).toEqual(['a', 'b']);
  });

  it('and has too little room: the sequence waits for it, and in the end OVERLOADED', async () => {
    await harness.join('a');
    await harness.join('b', { misbehaviour: { kvPositions: 1 } });
    await harness.untilLive(2);
    const refused = expect(collect(generate())).rejects.toMatchObject({ code: 'OVERLOADED' });
    await harness.heard(harness.byName('a'));
    harness.timers.advance(PIPELINE_WAIT_MS);
    await refused;
    // Being full is no failure.
    expect(harness.live).toEqual(['a', 'b']);
  });

  it('and prefills many prompts: each has the time that all of them take', async () => {
    const [only] = await harness.joinAll(['a']);
    const held: (() => void)[] = [];
    only!.misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    const prompt = Array.from({ length: 500 }, (_, i) => i);
    const answers = Array.from({ length: 8 }, () => collect(generate({ prompt, maxTokens: 1 })));
    await until(() => held.length === 8);
    harness.timers.advance(TOKEN_DEADLINE_MS + 7 * prompt.length * PREFILL_MS_PER_POSITION);
    for (const send of held.splice(0, 7)) send();
    await Promise.all(answers.slice(0, 7));
    // The last one was behind them all.
    harness.timers.advance(TOKEN_DEADLINE_MS);
    held[0]!();
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject({ ids: expectedIds(prompt, 1), restarts: [0] });
    }
  });
});

describe('a client', () => {
  it('that stops reading frees the sequence on every stage', async () => {
    const workers = await harness.joinAll(['a', 'b']);
    for await (const event of generate()) if (event.type === 'token') break;
    await until(() => openSequences() === 0);
    for (const worker of workers) expect(worker.messages('close')).toHaveLength(1);
    expect(harness.mesh.coordinator.inFlight).toBe(0);
  });

  it('that reads slowly keeps no room on the stages once the last token came, and no departure starts it again', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const events = generate();
    const read = [await events.next(), await events.next()];
    await until(() => harness.mesh.routes.sequences === 0 && openSequences() === 0);
    expect(harness.mesh.coordinator.inFlight).toBe(1);
    expect(harness.mesh.coordinator.running).toBe(0);
    a!.kill();
    await harness.untilLive(1);
    await harness.heard(b!);
    const answer = await collect(events);
    const first = read.flatMap(({ value }) => (value?.type === 'token' ? value.id : []));
    expect([...first, ...answer.ids]).toEqual(expectedIds(PROMPT, 20));
    expect(answer.finish).toBe('length');
    expect(harness.mesh.rows().workers.filter(({ problem }) => problem !== null)).toEqual([]);
    expect(b!.messages('open')).toHaveLength(1);
    expect(harness.mesh.coordinator.inFlight).toBe(0);
  });

  it('that hangs up while nothing comes frees it too, running or waiting', async () => {
    const [only] = await harness.joinAll(['a']);
    only!.misbehaviour = { onToken: () => {} };
    const hangUp = new AbortController();
    const answer = expect(collect(generate({}, hangUp.signal))).rejects.toMatchObject({ code: 'ABORTED' });
    await until(() => openSequences() === 1);
    hangUp.abort();
    await answer;
    await until(() => openSequences() === 0);
    expect(harness.mesh.coordinator.running).toBe(0);
  });

  it('is told at once when there are no workers', async () => {
    await expect(collect(generate())).rejects.toMatchObject({
      code: 'NO_PIPELINE',
      message: expect.stringContaining('press Join'),
    });
  });

  it('is told when the server ends', async () => {
    const [only] = await harness.joinAll(['a']);
    only!.misbehaviour = { onToken: () => {} };
    const answer = expect(collect(generate())).rejects.toMatchObject({ code: 'ABORTED' });
    await until(() => openSequences() === 1);
    harness.mesh.close();
    await answer;
  });
});
