import { describe, expect, it } from 'vitest';
import { NODE_SPEED_HALF_LIFE_MS } from '../../src/config/limits.ts';
import {
  chooseNode,
  measured,
  type NodeSpeed,
  type RouteCandidate,
} from '../../src/schedule/backends/choose-node.ts';
import { seededRandom } from '../mesh/seeded.ts';

const speed = (timeToFirstTokenMs: number, tokensPerSecond: number | null = null, atMs = 0): NodeSpeed => ({
  timeToFirstTokenMs,
  tokensPerSecond,
  atMs,
});
const candidate = (given: Partial<RouteCandidate> = {}): RouteCandidate => ({
  inFlight: 0,
  maxConcurrent: 8,
  speed: null,
  failureShare: 0,
  tier: 0,
  lastChosen: 0,
  ...given,
});
const chosen = (candidates: Partial<RouteCandidate>[], nowMs = 0) =>
  chooseNode(candidates.map(candidate), nowMs);

describe('chooseNode', () => {
  it.each<[string, Partial<RouteCandidate>[], number]>([
    ['nobody', [], -1],
    ['nobody with room', [{ inFlight: 8 }, { inFlight: 9 }], -1],
    ['the one with room', [{ inFlight: 8 }, { inFlight: 7 }], 1],
    ['the less loaded of equals', [{ inFlight: 3 }, { inFlight: 2 }], 1],
    [
      'by share, not by count',
      [
        { inFlight: 2, maxConcurrent: 4 },
        { inFlight: 8, maxConcurrent: 64 },
      ],
      1,
    ],
    ['the faster to the first token', [{ speed: speed(900) }, { speed: speed(300) }], 1],
    [
      'the less loaded of two that differ by milliseconds',
      [{ speed: speed(5), inFlight: 1 }, { speed: speed(20) }],
      1,
    ],
    ['the faster afterwards', [{ speed: speed(300, 10) }, { speed: speed(300, 40) }], 1],
    [
      'the slower one when the faster is crowded',
      [{ speed: speed(300), inFlight: 7 }, { speed: speed(600) }],
      1,
    ],
    ['an unmeasured node before a slow one', [{ speed: speed(300), inFlight: 2 }, {}], 1],
    ['whom a node that fails half the time would delay', [{ failureShare: 0.4 }, { inFlight: 1 }], 1],
    ['the lowest tier with room', [{ tier: 4 }, { tier: 1, inFlight: 7 }, { tier: 1, inFlight: 8 }], 1],
    ['the higher tier when the lower is full', [{ inFlight: 8 }, { tier: 4 }], 1],
    ['whoever waited longest among equals', [{ lastChosen: 7 }, { lastChosen: 3 }, { lastChosen: 5 }], 1],
  ])('chooses %s', (_, candidates, index) => {
    expect(chosen(candidates)).toBe(index);
  });

  it('tries a node that was slow again when its measurement has faded', () => {
    const nodes = [{ speed: speed(300), lastChosen: 9 }, { speed: speed(3_000) }];
    expect(chosen(nodes, 0)).toBe(0);
    expect(chosen(nodes, 10 * NODE_SPEED_HALF_LIFE_MS)).toBe(1);
  });

  it('takes turns among equals', () => {
    const lastChosen = [0, 0, 0];
    const turns = Array.from({ length: 9 }, (_, turn) => {
      const index = chosen(lastChosen.map((last) => ({ lastChosen: last })));
      lastChosen[index] = turn + 1;
      return index;
    });
    expect(turns).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });
});

describe('measured', () => {
  const answer = { timeToFirstTokenMs: 200, durationMs: 1_200, completionTokens: 21 };

  it('counts the tokens after the first, over the time after it', () => {
    expect(measured(null, answer, 5)).toEqual(speed(200, 20, 5));
  });

  it('moves towards a new measurement by its weight', () => {
    const next = measured(speed(100, 10, 0), answer, 5)!;
    expect(next.timeToFirstTokenMs).toBeCloseTo(120);
    expect(next.tokensPerSecond).toBeCloseTo(12);
    expect(next.atMs).toBe(5);
  });

  it('learns nothing from an answer without a token, and no rate from one of a single token', () => {
    const old = speed(100, 10, 0);
    expect(measured(old, { ...answer, timeToFirstTokenMs: null }, 5)).toBe(old);
    expect(measured(old, { ...answer, completionTokens: 1 }, 5)?.tokensPerSecond).toBe(10);
    expect(measured(null, { ...answer, durationMs: 200 }, 5)?.tokensPerSecond).toBeNull();
  });
});

interface SimulatedNode {
  readonly maxConcurrent: number;
  readonly serviceMs: number;
}

/** Requests at random times on nodes that batch: twice as slow when full. */
function simulate(nodes: readonly SimulatedNode[], seed: number, requests: number, everyMs: number) {
  const random = seededRandom(seed);
  const states = nodes.map(() => ({
    inFlight: 0,
    peak: 0,
    served: 0,
    lastChosen: 0,
    speed: null as NodeSpeed | null,
  }));
  const running: { readonly node: number; readonly startMs: number; readonly endMs: number }[] = [];
  let now = 0;
  let refused = 0;
  for (let request = 1; request <= requests; request++) {
    now += -Math.log(1 - random()) * everyMs;
    running.sort((a, b) => a.endMs - b.endMs);
    while (running[0] !== undefined && running[0].endMs <= now) {
      const { node, startMs, endMs } = running.shift()!;
      const state = states[node]!;
      state.inFlight--;
      state.speed = measured(
        state.speed,
        { timeToFirstTokenMs: endMs - startMs, durationMs: endMs - startMs, completionTokens: 1 },
        endMs,
      );
    }
    const index = chooseNode(
      states.map(({ inFlight, lastChosen, speed: known }, at) =>
        candidate({ inFlight, lastChosen, speed: known, maxConcurrent: nodes[at]!.maxConcurrent }),
      ),
      now,
    );
    if (index === -1) {
      refused++;
      expect(states.map(({ inFlight }) => inFlight)).toEqual(nodes.map((node) => node.maxConcurrent));
      continue;
    }
    const state = states[index]!;
    const { serviceMs, maxConcurrent } = nodes[index]!;
    state.inFlight++;
    state.served++;
    state.lastChosen = request;
    state.peak = Math.max(state.peak, state.inFlight);
    const takes = serviceMs * (1 + state.inFlight / maxConcurrent) * (0.8 + 0.4 * random());
    running.push({ node: index, startMs: now, endMs: now + takes });
  }
  return { states, refused };
}

describe('over many requests', () => {
  const each = (name: string, check: (seed: number) => void) =>
    it(name, () => {
      for (let seed = 0; seed < 20; seed++) check(seed);
    });

  each('the fast one gets more and no node is forgotten', (seed) => {
    const { states } = simulate(
      [
        { maxConcurrent: 8, serviceMs: 4_000 },
        { maxConcurrent: 8, serviceMs: 500 },
      ],
      seed,
      2_000,
      200,
    );
    expect(states[1]!.served).toBeGreaterThan(3 * states[0]!.served);
    expect(states[0]!.served).toBeGreaterThan(0);
  });

  each('equals share equally', (seed) => {
    const nodes = Array.from({ length: 4 }, () => ({ maxConcurrent: 16, serviceMs: 1_000 }));
    const { states } = simulate(nodes, seed, 2_000, 50);
    for (const { served } of states) {
      expect(served).toBeGreaterThan(400);
      expect(served).toBeLessThan(600);
    }
  });

  each('none is given more than it takes, and nothing is refused while one has room', (seed) => {
    const nodes = [
      { maxConcurrent: 1, serviceMs: 300 },
      { maxConcurrent: 3, serviceMs: 2_000 },
      { maxConcurrent: 16, serviceMs: 5_000 },
    ];
    const { states, refused } = simulate(nodes, seed, 1_000, 100);
    for (const [index, { peak }] of states.entries()) {
      expect(peak).toBe(nodes[index]!.maxConcurrent);
    }
    expect(refused).toBeGreaterThan(0);
  });
});
