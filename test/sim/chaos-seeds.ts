/** Schedules that have failed once, each with what was wrong then. They always run. */
export const CHAOS_SEEDS: readonly (readonly [seed: number, what: string])[] = [
  [10, 'a link that lingered while it was not wanted was not told of again'],
  [23, 'a last stage forgot the ids that penalties look at, as it trimmed to what it held'],
  [45, 'the same where the first stage is the last'],
  [105, 'failed on older code; why was not written down'],
  [132, 'failed on older code; why was not written down'],
  [
    266,
    'three slow-downs at once made a step of a minute, and the worker slow for good: the simulation was wrong',
  ],
  [210, 'a link half the world away counted as silent whenever a sequence came, and was probed without end'],
  [
    400,
    'after a restart of the server, a stage that came back and was not waited for was never told to close',
  ],
  [415, 'the same'],
  [637, 'the same'],
  [704, 'the same'],
  [1059, 'the same'],
];
