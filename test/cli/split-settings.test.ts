import { describe, expect, it } from 'vitest';
import { splitOf } from '../../src/cli/split-settings.ts';

describe('how a model is spread', () => {
  it('is the command line’s to say, key by key, then the file’s', () => {
    const file = { minStages: 2, maxStages: 4, replicas: 3 };
    expect(splitOf({}, {})).toEqual({});
    expect(splitOf({}, file)).toEqual({ minStages: 2, maxStages: 4, replicas: 3 });
    expect(splitOf({ minStages: 3, replicas: 1 }, file)).toEqual({
      minStages: 3,
      maxStages: 4,
      replicas: 1,
    });
    expect(splitOf({ maxStages: 2 }, {}, 3)).toEqual({ minStages: 2, maxStages: 2 });
    expect(splitOf({ maxStages: 8 }, file)).toEqual({ minStages: 2, maxStages: 8, replicas: 3 });
  });

  it('solo and a split exclude each other, over both: the command line’s wins', () => {
    expect(splitOf({ solo: true }, { minStages: 2 })).toEqual({ solo: true });
    expect(splitOf({ minStages: 2 }, { solo: true })).toEqual({ minStages: 2 });
    expect(splitOf({}, { solo: true })).toEqual({ solo: true });
  });

  it('is over the tabs that a command starts itself where nothing else is said', () => {
    expect(splitOf({}, {}, 3)).toEqual({ minStages: 3 });
    expect(splitOf({}, { minStages: 2 }, 3)).toEqual({ minStages: 2 });
    expect(splitOf({}, { solo: true }, 3)).toEqual({ solo: true });
    expect(splitOf({}, { solo: false }, 3)).toEqual({ minStages: 3, solo: false });
  });

  it('asks for no more stages at least than at most', () => {
    expect(() => splitOf({ minStages: 4, maxStages: 2 }, {})).toThrow(
      '--min-stages is 4, more than --max-stages, which is 2; lower the one or raise the other',
    );
    expect(() => splitOf({ minStages: 9 }, { maxStages: 4 })).toThrow(
      '--min-stages is 9, more than max_stages, which is 4',
    );
  });
});
