import { isAbsolute } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../../src/cli/state-settings.ts';

describe('where answers are kept', () => {
  it('is memory, unless a flag or the environment names a directory; the flag wins', () => {
    expect(stateOf({}, {})).toEqual({});
    expect(stateOf({}, { SHOAL_STATE_DIR: '' })).toEqual({});
    expect(stateOf({}, { SHOAL_STATE_DIR: '/a' }).state).toEqual({ directory: '/a', key: null });
    expect(stateOf({ state: '/b' }, { SHOAL_STATE_DIR: '/a' }).state?.directory).toBe('/b');
    expect(stateOf({}, {}, { state: '/c' }).state?.directory).toBe('/c');
    expect(stateOf({}, { SHOAL_STATE_DIR: '/a' }, { state: '/c' }).state?.directory).toBe('/a');
    expect(isAbsolute(stateOf({ state: 'here' }, {}).state!.directory)).toBe(true);
    const npm = { npm_lifecycle_event: 'start', INIT_CWD: '/caller' };
    expect(stateOf({ state: 'here' }, npm).state!.directory).toBe('/caller/here');
  });

  it('never shows its key', () => {
    const { state } = stateOf({ state: '/a' }, { SHOAL_STATE_KEY: 'open sesame' });
    expect(state?.key?.reveal()).toBe('open sesame');
    expect(JSON.stringify(state)).not.toContain('sesame');
  });
});
