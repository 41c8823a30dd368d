import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_UNACKED_CHUNKS } from '../../src/config/limits.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { FAKE_SPEC, FakeEngine, soloTokens } from './fake-engine.ts';
import { deal, seededRandom, TestPipeline, turns } from './pipeline.ts';

const PROMPT = Array.from({ length: 150 }, (_, i) => (i * 37) % 1000);
const SAMPLED = { ...GREEDY, temperature: 0.8, seed: 42 };
const PENALTIES = { ...SAMPLED, repetitionPenalty: 1.2 };

function engines(k: number): FakeEngine[] {
  return deal(FAKE_SPEC.layers, k).map((shard) => new FakeEngine(shard));
}

describe.each([1, 2, 3, 5, 8])('a pipeline of %i stages', (k) => {
  it.each([
    ['greedy', GREEDY, 'f16'],
    ['seeded', SAMPLED, 'f32'],
    ['penalties', PENALTIES, 'f16'],
  ] as const)('gives the tokens of the whole model, %s', async (_name, sampling, wire) => {
    const pipeline = new TestPipeline({ engines: engines(k) });
    const result = await pipeline.generate(7, { prompt: PROMPT, maxTokens: 40, sampling, wire });
    expect(result.tokens).toEqual(soloTokens(PROMPT, 40, sampling));
    expect(result.positions).toEqual(Array.from({ length: 40 }, (_, i) => PROMPT.length + i));
    expect(result.reason).toBe('length');
    expect(pipeline.failures).toEqual([]);
    expect(pipeline.refusals).toEqual([]);
  });

  it('keeps many sequences apart, whatever the interleaving', async () => {
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed);
      const onStep = () => turns(1 + Math.floor(random() * 4));
      const parts = deal(FAKE_SPEC.layers, k).map((shard) => new FakeEngine(shard, { onStep }));
      const pipeline = new TestPipeline({ engines: parts, delay: () => Math.floor(random() * 4) });
      const runs = Array.from({ length: 6 }, async (_, index) => {
        await turns(Math.floor(random() * 20));
        const length = 1 + Math.floor(random() * 140);
        const prompt = Array.from({ length }, () => Math.floor(random() * 1000));
        const sampling = { ...SAMPLED, seed: index };
        const wire = random() < 0.5 ? ('f16' as const) : ('f32' as const);
        const result = await pipeline.generate(index, { prompt, maxTokens: 20, sampling, wire });
        expect(result.tokens).toEqual(soloTokens(prompt, 20, sampling));
      });
      await Promise.all(runs);
      await turns(20);
      expect(pipeline.failures).toEqual([]);
      expect(pipeline.refusals).toEqual([]);
      expect(parts.map((part) => part.openSequences)).toEqual(parts.map(() => 0));
      const merged = parts.some((part) => part.steps.some((step) => step.entries.length > 1));
      expect(merged).toBe(true);
    }
  });

  it('stops at an end-of-sequence id, which is delivered too', async () => {
    const solo = soloTokens(PROMPT, 10, GREEDY);
    const pipeline = new TestPipeline({ engines: engines(k) });
    const result = await pipeline.generate(1, { prompt: PROMPT, maxTokens: 10, eos: [solo[4]!] });
    expect(result).toMatchObject({ tokens: solo.slice(0, 5), reason: 'stop' });
  });

  it('goes on identically after a departure: prompt and tokens so far on new stages', async () => {
    const solo = soloTokens(PROMPT, 30, SAMPLED);
    const first = new TestPipeline({ engines: engines(k) });
    const before = await first.generate(1, { prompt: PROMPT, maxTokens: 13, sampling: SAMPLED });
    first.destroy();
    const second = new TestPipeline({ engines: engines(k === 1 ? 3 : k - 1), epoch: 2 });
    const after = await second.generate(2, {
      prompt: [...PROMPT, ...before.tokens],
      promptTokens: PROMPT.length,
      maxTokens: 17,
      sampling: SAMPLED,
    });
    expect([...before.tokens, ...after.tokens]).toEqual(solo);
  });
});

describe('prefill', () => {
  it('works on a chunk while the next stage works on the one before', async () => {
    const busy = new Set<string>();
    let together = false;
    const shards = deal(FAKE_SPEC.layers, 2);
    const parts = shards.map(
      (shard, index) =>
        new FakeEngine(shard, {
          onStep: async () => {
            busy.add(`${index}`);
            await turns(3);
            together ||= busy.size === 2;
            busy.delete(`${index}`);
          },
        }),
    );
    const pipeline = new TestPipeline({ engines: parts });
    await pipeline.generate(1, { prompt: Array.from({ length: 300 }, () => 5), maxTokens: 1 });
    expect(together).toBe(true);
  });

  it('takes a prompt in parts', async () => {
    const pipeline = new TestPipeline({ engines: engines(3) });
    const options = { prompt: PROMPT, maxTokens: 5 };
    const result = pipeline.expect(1);
    pipeline.open(1, options);
    pipeline.prompt(1, options, 33);
    expect((await result).tokens).toEqual(soloTokens(PROMPT, 5, GREEDY));
  });

  it('sends no more unacknowledged chunks than the window holds, at any stage', async () => {
    const pipeline = new TestPipeline({
      engines: engines(3),
      deliver: ({ frame }) => frame.kind !== 'ack',
    });
    const options = { prompt: Array.from({ length: 900 }, (_, i) => i), maxTokens: 2 };
    pipeline.open(1, options);
    pipeline.prompt(1, options);
    await turns(60);
    for (const stage of [0, 1]) {
      const chunks = pipeline.sent.filter((sent) => sent.from === stage && sent.frame.kind === 'activation');
      expect(chunks).toHaveLength(MAX_UNACKED_CHUNKS);
    }
  });

  it('frees everything when closed in the middle', async () => {
    const parts = deal(FAKE_SPEC.layers, 3).map((shard) => new FakeEngine(shard, { onStep: () => turns(2) }));
    const pipeline = new TestPipeline({ engines: parts });
    const options = { prompt: Array.from({ length: 900 }, (_, i) => i), maxTokens: 2 };
    pipeline.open(1, options);
    pipeline.prompt(1, options);
    await turns(9);
    pipeline.close(1);
    await turns(40);
    expect(parts.map((part) => part.openSequences)).toEqual([0, 0, 0]);
    expect(pipeline.failures).toEqual([]);
    expect(pipeline.refusals).toEqual([]);
    const again = await pipeline.generate(2, { prompt: PROMPT, maxTokens: 3 });
    expect(again.tokens).toEqual(soloTokens(PROMPT, 3, GREEDY));
  });
});

describe('refusals', () => {
  const entry = { sequence: 1, position: 0, epoch: 1, count: 1, sample: true, truncate: false };
  const activation = {
    kind: 'activation',
    dtype: 'f16',
    microBatch: 1,
    entries: [entry],
    // A row that the fake engine accepts: hash 0.
    payload: new Uint8Array([0, 0, 0, 0, 4, 0, 0, 0]),
  } as const;

  function lastStage() {
    const parts = engines(2);
    const pipeline = new TestPipeline({ engines: parts });
    pipeline.open(1, { prompt: [1, 2, 3], maxTokens: 5 });
    return { pipeline, stage: pipeline.stages[1]!, engine: parts[1]! };
  }

  it.each([
    ['an older epoch', { ...activation, entries: [{ ...entry, epoch: 0 }] }, 'peer-0', 'EPOCH_STALE'],
    ['an epoch to come', { ...activation, entries: [{ ...entry, epoch: 9 }] }, 'peer-0', 'EPOCH_STALE'],
    ['a stranger', activation, 'peer-7', 'FRAME_INVALID'],
    ['a token frame to the last stage', { ...activation, kind: 'token' as const }, 'peer-1', 'FRAME_INVALID'],
  ] as const)('drops a frame of %s and fails no sequence', async (_name, frame, from, code) => {
    const { pipeline, stage, engine } = lastStage();
    stage.receive(from, frame);
    await turns(3);
    expect(pipeline.refusals.map(({ error }) => error.code)).toEqual([code]);
    expect(pipeline.failures).toEqual([]);
    expect(engine.steps).toEqual([]);
  });

  it.each([
    ['a gap', { ...activation, entries: [{ ...entry, position: 2 }] }, 1, 'POSITION_GAP'],
    ['a position beyond the end', { ...activation, entries: [{ ...entry, position: 8 }] }, 1, 'POSITION_GAP'],
    [
      'a truncation to a position never held',
      { ...activation, entries: [{ ...entry, position: 2, truncate: true }] },
      1,
      'POSITION_GAP',
    ],
    [
      'another wire',
      { ...activation, dtype: 'f32', payload: new Uint8Array(16) } as const,
      1,
      'FRAME_INVALID',
    ],
    ['another width', { ...activation, payload: new Uint8Array(16) }, 1, 'FRAME_INVALID'],
    ['values that are no numbers', { ...activation, payload: new Uint8Array(8).fill(0x7f) }, 1, 'NON_FINITE'],
  ] as const)('fails the sequence of a frame with %s, uncomputed', async (_name, frame, sequence, code) => {
    const { pipeline, stage, engine } = lastStage();
    stage.receive('peer-0', frame);
    await turns(3);
    expect(pipeline.failures).toMatchObject([{ stage: 1, sequence, error: { code } }]);
    expect(engine.steps).toEqual([]);
    expect(engine.openSequences).toBe(sequence === 1 ? 0 : 1);
  });

  it('computes the same position again only after a truncation', async () => {
    const { pipeline, stage, engine } = lastStage();
    const chunk = { ...activation, entries: [{ ...entry, sample: false }] };
    stage.receive('peer-0', chunk);
    await turns(3);
    stage.receive('peer-0', { ...chunk, entries: [{ ...entry, sample: false, truncate: true }] });
    await turns(3);
    expect(pipeline.failures).toEqual([]);
    expect(engine.steps).toHaveLength(2);
    stage.receive('peer-0', chunk);
    await turns(3);
    expect(pipeline.failures).toMatchObject([{ error: { code: 'POSITION_GAP' } }]);
  });

  it('refuses a token outside the vocabulary', async () => {
    const pipeline = new TestPipeline({ engines: engines(2) });
    pipeline.open(1, { prompt: [1, 2, 3], maxTokens: 5 });
    pipeline.stages[0]!.receive('peer-1', {
      ...activation,
      kind: 'token',
      dtype: 'u32',
      payload: new Uint8Array([0, 0, 1, 0]),
    });
    expect(pipeline.failures).toMatchObject([{ stage: 0, sequence: 1, error: { code: 'FRAME_INVALID' } }]);
  });

  it('refuses an ack that nothing waits for', () => {
    const pipeline = new TestPipeline({ engines: engines(2) });
    pipeline.open(1, { prompt: [1, 2, 3], maxTokens: 5 });
    pipeline.stages[0]!.receive('peer-1', {
      ...activation,
      kind: 'ack',
      dtype: 'none',
      payload: new Uint8Array(0),
    });
    expect(pipeline.refusals).toMatchObject([{ stage: 0, error: { code: 'FRAME_INVALID' } }]);
  });

  it.each([
    ['a gap in the prompt', { position: 1, ids: [1], last: true }, 'POSITION_GAP'],
    [
      'a prompt as long as the sequence',
      { position: 0, ids: [1, 2, 3, 4, 5, 6, 7, 8], last: true },
      'CONTEXT_LENGTH_EXCEEDED',
    ],
    ['an id outside the vocabulary', { position: 0, ids: [1000], last: true }, 'INVALID_REQUEST'],
  ])('refuses %s', (_name, part, code) => {
    const pipeline = new TestPipeline({ engines: engines(2) });
    pipeline.open(1, { prompt: [1, 2, 3], maxTokens: 5 });
    pipeline.stages[0]!.prompt({ sequence: 1, epoch: 1, ...part });
    expect(pipeline.failures).toMatchObject([{ stage: 0, sequence: 1, error: { code } }]);
  });

  it('drops late frames of a closed sequence in silence', () => {
    const { pipeline, stage } = lastStage();
    stage.close(1);
    stage.receive('peer-0', activation);
    expect(pipeline.failures).toEqual([]);
    expect(pipeline.refusals).toEqual([]);
  });

  it('says so when the engine has no room', () => {
    const pipeline = new TestPipeline({ engines: engines(1) });
    for (let sequence = 0; sequence < 33; sequence++) pipeline.open(sequence, { prompt: [1], maxTokens: 2 });
    expect(pipeline.opened).toHaveLength(32);
    expect(pipeline.failures).toMatchObject([{ sequence: 32, error: { code: 'SEQUENCE_LIMIT' } }]);
  });

  it('refuses a place that its engine does not fit', () => {
    const pipeline = new TestPipeline({ engines: [new FakeEngine(deal(8, 2)[1]!)] });
    pipeline.open(1, { prompt: [1], maxTokens: 2 });
    expect(pipeline.failures).toMatchObject([{ sequence: 1, error: { code: 'PROTOCOL_INVALID' } }]);
  });
});

describe('failures', () => {
  it('fails every sequence and the stage when the device is lost', async () => {
    const parts = engines(2);
    const bad = new FakeEngine(deal(8, 2)[1]!, {
      onStep: ({ entries }) => {
        if (entries[0]!.position > 150) throw new ShoalError('DEVICE_LOST', 'gone');
      },
    });
    const pipeline = new TestPipeline({ engines: [parts[0]!, bad] });
    const run = pipeline.generate(1, { prompt: PROMPT, maxTokens: 40 });
    await expect(run).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    expect(pipeline.stageFailures).toMatchObject([{ stage: 1, error: { code: 'DEVICE_LOST' } }]);
    expect(bad.openSequences).toBe(0);
  });

  it('fails only the sequence whose row overflows f16; its company goes on with the same tokens', async () => {
    const bad = new FakeEngine(deal(8, 2)[1]!, {
      onStep: async ({ entries }) => {
        await turns(2);
        if (entries.some((entry) => entry.sequence === 3 && entry.position >= 20)) {
          throw new ShoalError('F16_RANGE', 'a value beyond 65504');
        }
      },
    });
    const pipeline = new TestPipeline({ engines: [engines(2)[0]!, bad] });
    const runs = [1, 2, 3, 4].map((sequence) =>
      pipeline.generate(sequence, { prompt: [sequence, 9, 9], maxTokens: 40 }).then(
        (result) => result.tokens,
        (error: ShoalError) => error.code,
      ),
    );
    const results = await Promise.all(runs);
    expect(results[2]).toBe('F16_RANGE');
    for (const [index, sequence] of [1, 2, 4].entries()) {
      expect(results[[0, 1, 3][index]!]).toEqual(soloTokens([sequence, 9, 9], 40, GREEDY));
    }
    expect(bad.steps.some((step) => step.entries.length > 1)).toBe(true);
    expect(pipeline.stageFailures).toEqual([]);
  });

  it('leaves a sequence waiting when the link to the next stage is gone: another route may come', async () => {
    const pipeline = new TestPipeline({
      engines: engines(2),
      deliver: ({ frame }) => {
        if (frame.entries[0]!.position > 155) throw new ShoalError('LINK_FAILED', 'closed');
        return true;
      },
    });
    const options = { prompt: PROMPT, maxTokens: 40 };
    void pipeline.expect(1);
    pipeline.open(1, options);
    pipeline.prompt(1, options);
    await turns(60);
    expect(pipeline.tokens(1)).toEqual(soloTokens(PROMPT, 7, GREEDY));
    expect(pipeline.failures).toEqual([]);
  });

  it('fails the sequences of a frame that the link refuses, though it is open', async () => {
    const pipeline = new TestPipeline({
      engines: engines(2),
      deliver: ({ frame }) => {
        if (frame.entries[0]!.position > 155) throw new ShoalError('OVERLOADED', 'the queue is full');
        return true;
      },
    });
    const run = pipeline.generate(1, { prompt: PROMPT, maxTokens: 40 });
    await expect(run).rejects.toMatchObject({ code: 'OVERLOADED' });
  });

  it('reports nothing and frees the engine after destroy', async () => {
    const parts = deal(FAKE_SPEC.layers, 2).map((shard) => new FakeEngine(shard, { onStep: () => turns(3) }));
    const pipeline = new TestPipeline({ engines: parts });
    const options = { prompt: PROMPT, maxTokens: 20 };
    pipeline.open(1, options);
    pipeline.prompt(1, options);
    await turns(2);
    pipeline.destroy();
    await turns(20);
    expect(parts.every((part) => part.destroyed)).toBe(true);
    expect(pipeline.failures).toEqual([]);
    expect(pipeline.tokens(1)).toEqual([]);
  });
});

it('counts decode rows and prefill rows apart', async () => {
  const pipeline = new TestPipeline({ engines: engines(2) });
  await pipeline.generate(1, { prompt: PROMPT, maxTokens: 11 });
  const summary = pipeline.stages[0]!.hop.summary();
  expect(summary).toMatchObject({ decodeRows: 10, prefillRows: 150, decodeSteps: 10 });
  expect(summary.timings).toMatchObject({ uploadMs: 1, computeMs: 2, readbackMs: 3 });
});
