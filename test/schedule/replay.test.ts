import { describe, expect, it } from 'vitest';
import { positionsToCompute, resumePoints, type StageHolds } from '../../src/schedule/replay.ts';
import { seededRandom } from '../mesh/seeded.ts';

const whole = (position: number): StageHolds => ({ position, keptFrom: 0 });
const NEW: StageHolds = { position: 0, keptFrom: 0 };
const from = (stages: readonly StageHolds[]) => resumePoints(stages).map(({ position }) => position);

describe('the points at which stages resume', () => {
  it('are all 0 for a new sequence', () => {
    expect(resumePoints([NEW, NEW, NEW])).toEqual([
      { position: 0, next: 0 },
      { position: 0, next: 0 },
      { position: 0, next: 0 },
    ]);
  });

  it.each([
    ['the first', 0],
    ['the middle one', 1],
    ['the last', 2],
  ])('leave all but %s where they are: the stage before it sends what it has kept', (_name, lost) => {
    const stages = [0, 1, 2].map((index) => (index === lost ? NEW : whole(99)));
    expect(from(stages)).toEqual([0, 1, 2].map((index) => (index === lost ? 0 : 99)));
    expect(positionsToCompute(resumePoints(stages), 100)).toEqual(
      [0, 1, 2].map((index) => (index === lost ? 100 : 1)),
    );
  });

  it('tell the new stage to send only what the next one lacks', () => {
    expect(resumePoints([whole(99), NEW, whole(99)])).toEqual([
      { position: 99, next: 0 },
      { position: 0, next: 99 },
      { position: 99, next: 99 },
    ]);
  });

  it('send a stage back that has not kept what the next one lacks, and only so far as is needed', () => {
    expect(from([whole(99), { position: 99, keptFrom: 50 }, whole(70)])).toEqual([99, 99, 70]);
    expect(from([whole(99), { position: 99, keptFrom: 71 }, whole(70)])).toEqual([99, 70, 70]);
    expect(from([{ position: 99, keptFrom: 99 }, { position: 99, keptFrom: 99 }, NEW])).toEqual([0, 0, 0]);
  });

  it('take stages that are in the middle of a prefill as they stand', () => {
    expect(resumePoints([whole(192), whole(128), whole(64)])).toEqual([
      { position: 192, next: 128 },
      { position: 128, next: 64 },
      { position: 64, next: 64 },
    ]);
  });

  it('give every stage all rows that it lacks, none before them, and compute none that is kept', () => {
    const random = seededRandom(7);
    const below = (bound: number) => Math.floor(random() * bound);
    for (let round = 0; round < 2_000; round++) {
      const stages = Array.from({ length: 1 + below(6) }, () => {
        const position = below(50);
        return { position, keptFrom: below(position + 1) };
      });
      const points = resumePoints(stages);
      for (const [index, { position, next }] of points.entries()) {
        const holds = stages[index]!;
        const following = points[index + 1];
        expect(position).toBeLessThanOrEqual(holds.position);
        expect(next).toBe(following?.position ?? position);
        // Rows [next, position) it must have kept; those from `position` on it computes.
        if (next < position) expect(holds.keptFrom).toBeLessThanOrEqual(next);
        // It goes back only where nothing else helps.
        if (position < holds.position) expect(holds.keptFrom).toBeGreaterThan(position);
      }
    }
  });
});
