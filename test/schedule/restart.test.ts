import { describe, expect, it } from 'vitest';
import { MAX_RESTARTS, MAX_STRIKES, RESTART_PAUSE_MS } from '../../src/config/limits.ts';
import { restartAfter, type SequenceFailure } from '../../src/schedule/restart.ts';

const failure = (over: Partial<SequenceFailure>): SequenceFailure => ({
  code: 'PIPELINE_LOST',
  isRouteLost: false,
  failures: 1,
  nonFinite: 0,
  isNonFiniteOfOne: true,
  ...over,
});

describe('after a failure a sequence', () => {
  it.each(['SEQUENCE_LIMIT', 'KV_EXHAUSTED'] as const)('waits for room: %s', (code) => {
    expect(restartAfter(failure({ code, failures: MAX_RESTARTS + 5 }))).toEqual({ kind: 'room' });
  });

  it('goes on at once by another route, and after a pause that grows by the one that failed it', () => {
    expect(restartAfter(failure({ isRouteLost: true, failures: 3 }))).toMatchObject({ pauseMs: 0 });
    expect(restartAfter(failure({ failures: 3 }))).toMatchObject({ pauseMs: 3 * RESTART_PAUSE_MS });
  });

  it('needs f32 where values left the range of f16', () => {
    expect(restartAfter(failure({ code: 'F16_RANGE' }))).toMatchObject({ kind: 'again', needsF32: true });
    expect(restartAfter(failure({}))).toMatchObject({ kind: 'again', needsF32: false });
  });

  it('ends after MAX_RESTARTS, lost routes included', () => {
    expect(restartAfter(failure({ failures: MAX_RESTARTS }))).toMatchObject({ kind: 'again' });
    expect(restartAfter(failure({ failures: MAX_RESTARTS + 1, isRouteLost: true }))).toEqual({
      kind: 'give-up',
      why: 'too-often',
    });
  });

  it('ends where a second worker says that values are no numbers, or one says it too often', () => {
    const code = 'NON_FINITE';
    const givenUp = { kind: 'give-up', why: 'non-finite' };
    expect(restartAfter(failure({ code, nonFinite: 1 }))).toMatchObject({ kind: 'again' });
    expect(restartAfter(failure({ code, nonFinite: 2, isNonFiniteOfOne: false }))).toEqual(givenUp);
    expect(restartAfter(failure({ code, nonFinite: MAX_STRIKES }))).toMatchObject({ kind: 'again' });
    expect(restartAfter(failure({ code, nonFinite: MAX_STRIKES + 1 }))).toEqual(givenUp);
  });
});
