import { describe, expect, it } from 'vitest';
import { tokenLogprobs } from '../../src/gpu/logprobs.ts';
import { drawAt, philox4x32 } from '../../src/gpu/random.ts';
import { argmax, isPlainGreedy, sampleToken, TokenHistory } from '../../src/gpu/sampler.ts';
import { GREEDY, type SamplingParams } from '../../src/model/sampling.ts';

const sampled = (change: Partial<SamplingParams>): SamplingParams => ({
  ...GREEDY,
  temperature: 1,
  ...change,
});
const none = new TokenHistory();

/** How often each id is drawn over positions 0 … n − 1. */
function frequencies(logits: readonly number[], params: SamplingParams, n = 4_000): number[] {
  const counts = logits.map(() => 0);
  for (let position = 0; position < n; position++) {
    counts[sampleToken(Float32Array.from(logits), params, none, position)]!++;
  }
  return counts.map((count) => count / n);
}

/** Logits of given probabilities. */
const logitsOf = (...probabilities: number[]) => probabilities.map(Math.log);

describe('the generator', () => {
  it('gives the known answers of Philox4x32-10', () => {
    // Random123's kat_vectors.
    expect(philox4x32([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philox4x32([ones, ones, ones, ones], [ones, ones])).toEqual([
      0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
    ]);
    expect(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
      0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
    ]);
  });

  it('depends on seed and position, and lies in [0, 1) evenly', () => {
    expect(drawAt(1, 2)).toBe(drawAt(1, 2));
    expect(drawAt(1, 2)).not.toBe(drawAt(2, 2));
    expect(drawAt(1, 2)).not.toBe(drawAt(1, 3));
    const draws = Array.from({ length: 10_000 }, (_, position) => drawAt(7, position));
    expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
    expect(draws.reduce((sum, draw) => sum + draw, 0) / draws.length).toBeCloseTo(0.5, 1.5);
  });
});

describe('sampling', () => {
  it('temperature 0 is the lowest of the highest', () => {
    expect(argmax(Float32Array.of(1, 5, 5, 2))).toBe(1);
    expect(sampleToken(Float32Array.of(1, 5, 5, 2), GREEDY, none, 0)).toBe(1);
  });

  it('draws by probability, and temperature sharpens', () => {
    const logits = logitsOf(0.5, 0.3, 0.2);
    const plain = frequencies(logits, sampled({}));
    [0.5, 0.3, 0.2].forEach((p, id) => {
      expect(Math.abs(plain[id]! - p)).toBeLessThan(0.03);
    });
    const sharp = frequencies(logits, sampled({ temperature: 0.5 }));
    [0.25, 0.09, 0.04].forEach((p, id) => {
      expect(Math.abs(sharp[id]! - p / 0.38)).toBeLessThan(0.03);
    });
  });

  it('top-k keeps the k highest', () => {
    const kept = frequencies(logitsOf(0.1, 0.4, 0.2, 0.3), sampled({ topK: 2 }));
    expect(kept[0]).toBe(0);
    expect(kept[2]).toBe(0);
    expect(Math.abs(kept[1]! - 4 / 7)).toBeLessThan(0.03);
  });

  it('top-p keeps the fewest that reach p, at least one', () => {
    const logits = logitsOf(0.1, 0.4, 0.2, 0.3);
    expect(frequencies(logits, sampled({ topP: 0.69 })).map((f) => f > 0)).toEqual([
      false,
      true,
      false,
      true,
    ]);
    expect(frequencies(logits, sampled({ topP: 0.71 })).map((f) => f > 0)).toEqual([false, true, true, true]);
    expect(frequencies(logits, sampled({ topP: 0.01 }))).toEqual([0, 1, 0, 0]);
  });

  it('top-p counts what top-k left', () => {
    // Of 0.4 and 0.3, the first alone is 57 %.
    const logits = logitsOf(0.1, 0.4, 0.2, 0.3);
    expect(frequencies(logits, sampled({ topK: 2, topP: 0.55 }))).toEqual([0, 1, 0, 0]);
  });

  it('min-p drops what is below a share of the highest', () => {
    const logits = logitsOf(0.1, 0.4, 0.2, 0.3);
    expect(frequencies(logits, sampled({ minP: 0.6 })).map((f) => f > 0)).toEqual([false, true, false, true]);
  });

  it('top-p looks at what min-p would still drop, as in Hugging Face', () => {
    // After min-p alone 0.4 would be 57 % of the rest and reach top-p 0.5 by itself.
    const kept = frequencies(logitsOf(0.1, 0.4, 0.2, 0.3), sampled({ minP: 0.6, topP: 0.5 }));
    expect(kept.map((f) => f > 0)).toEqual([false, true, false, true]);
  });

  it('takes extreme logits without NaN', () => {
    expect(sampleToken(Float32Array.of(-3e38, 3e38, 0), sampled({ temperature: 0.01 }), none, 0)).toBe(1);
  });
});

describe('bias', () => {
  it('is added before penalties and temperature, and moves a greedy pick', () => {
    const history = new TokenHistory();
    history.note(0, [2], true);
    const logits = Float32Array.of(1, 2, 3);
    const biased: SamplingParams = {
      ...GREEDY,
      repetitionPenalty: 2,
      logitBias: [
        [0, 100],
        [2, -7],
      ],
    };
    expect(sampleToken(logits, biased, history, 3)).toBe(0);
    // Negative only after the bias, so the penalty multiplies.
    expect([...logits]).toEqual([101, 2, -8]);
  });

  it('keeps a token out, and one beyond the vocabulary changes nothing', () => {
    const logits = logitsOf(0.9, 0.05, 0.05);
    const banned = frequencies(logits, sampled({ logitBias: [[0, -100]] }));
    expect(banned[0]).toBe(0);
    expect(frequencies(logits, sampled({ logitBias: [[7, 100]] }))).toEqual(frequencies(logits, sampled({})));
  });

  it('keeps a greedy run from the GPU argmax', () => {
    expect(isPlainGreedy({ ...GREEDY, logitBias: [[1, 5]] })).toBe(false);
  });
});

describe('log probabilities', () => {
  it('are the log-softmax of the logits, of equals the lower id first', () => {
    const { picked, top } = tokenLogprobs(Float32Array.of(0, 2, 1, 2, -1), 2, 3);
    const sum = Math.log(1 + Math.E ** 2 + Math.E + Math.E ** 2 + Math.E ** -1);
    expect(picked).toBeCloseTo(1 - sum, 14);
    expect(top.map(([id]) => id)).toEqual([1, 3, 2]);
    expect(top.map(([, logprob]) => logprob)).toEqual([top[0]![1], top[0]![1], picked]);
    expect(top[0]![1]).toBeCloseTo(2 - sum, 14);
  });

  it('add up to one, never exceed it, and take extreme logits', () => {
    const logits = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i) * 20);
    const { top } = tokenLogprobs(logits, 0, 300);
    expect(top.reduce((total, [, logprob]) => total + Math.exp(logprob), 0)).toBeCloseTo(1, 12);
    expect(tokenLogprobs(Float32Array.of(3e38, -3e38), 1, 1)).toEqual({
      picked: expect.closeTo(-6e38, -33),
      top: [[0, 0]],
    });
    expect(tokenLogprobs(logits, 5, 0).top).toEqual([]);
  });
});

describe('penalties', () => {
  const history = new TokenHistory();
  history.note(0, [0], true);
  history.note(1, [1, 1], false);

  const greedy = (logits: number[], change: Partial<SamplingParams>) => {
    const values = Float32Array.from(logits);
    sampleToken(values, { ...GREEDY, ...change }, history, 3);
    return [...values];
  };

  it('repetition divides positive and multiplies negative logits of prompt and output', () => {
    expect(greedy([4, -4, 4], { repetitionPenalty: 2 })).toEqual([2, -8, 4]);
  });
  it('presence and frequency look at the output alone', () => {
    expect(greedy([4, 4, 4], { presencePenalty: 1 })).toEqual([4, 3, 4]);
    expect(greedy([4, 4, 4], { frequencyPenalty: 1 })).toEqual([4, 2, 4]);
  });
  it('ids that stand at the picked position or behind do not count: the sequence was cut and is computed again', () => {
    const cut = new TokenHistory();
    cut.note(0, [5], true);
    cut.note(1, [6, 7, 8, 6], false);
    expect([...cut.countsBefore(3)]).toEqual([
      [5, 0],
      [6, 1],
      [7, 1],
    ]);
    expect(cut.countsBefore(5).get(6)).toBe(2);
    cut.note(3, [9], false);
    expect(cut.countsBefore(5).has(8)).toBe(false);
  });
  it('count as if all were counted anew for each token, through cuts and in any order of asking', () => {
    const history = new TokenHistory();
    const ids: { id: number; prompt: boolean }[] = [];
    const note = (position: number, noted: readonly number[], prompt: boolean) => {
      history.note(position, noted, prompt);
      for (const [index, id] of noted.entries()) ids[position + index] = { id, prompt };
    };
    const counted = (position: number) => {
      const counts = new Map<number, number>();
      for (const { id, prompt } of ids.slice(0, position)) {
        counts.set(id, (counts.get(id) ?? 0) + (prompt ? 0 : 1));
      }
      return counts;
    };
    note(0, [3, 4, 3], true);
    for (let position = 3; position < 60; position++) {
      expect(new Map(history.countsBefore(position))).toEqual(counted(position));
      note(position, [(position * 7) % 11], false);
      // Cut, and computed again with others from there on.
      if (position % 9 === 0) note(position - 4, [1, 2, 5], false);
      if (position % 13 === 0) expect(new Map(history.countsBefore(5))).toEqual(counted(5));
    }
  });
  it('keep a greedy run from the GPU argmax', () => {
    expect(isPlainGreedy(GREEDY)).toBe(true);
    expect(isPlainGreedy({ ...GREEDY, presencePenalty: 0.1 })).toBe(false);
  });
});
