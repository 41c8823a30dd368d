import { describe, expect, it } from 'vitest';
import { loadText, runLoad } from '../../src/sim/load.ts';

describe('one server', () => {
  it('bears workers that join and speak, and gives up none that does', {
    timeout: 60_000,
  }, async () => {
    const result = await runLoad({ workers: 60, seconds: 30, churnPerSecond: 0, seed: 3 });
    expect(result).toMatchObject({ workers: 60, missed: 0, isReady: true });
    expect(result.holding).toBeGreaterThan(1);
    // A sign of life in five seconds of each, each second of those who hold layers, and their statistics.
    expect(result.messagesPerSecond).toBeGreaterThan(60 / 5);
    expect(result.links.most).toBeGreaterThan(0);
    expect(loadText([result])).toContain('| 60 |');
  });
});
