import { describe, expect, it } from 'vitest';
import { LINK_REPORT_MS, TRUSTED_TOKENS } from '../../src/config/limits.ts';
import { Accusations } from '../../src/schedule/health/accusations.ts';
import type { Standing } from '../../src/schedule/health/link-reports.ts';

const who = (peer: string, served: number, address: string | null = `at ${peer}`): Standing => ({
  peer,
  address,
  served,
  isNewcomer: false,
  isExcluded: false,
  isSilent: false,
  incidents: 0,
});
const BOTH = { out: null, suspected: ['by', 'about'] };

describe('who refuses what its neighbour sent', () => {
  it('is out where it has served clearly less, however often it says so, and the other where that has', () => {
    const accusations = new Accusations();
    for (let i = 0; i < 3; i++) {
      expect(accusations.judge(who('by', 10), who('about', 200), i).out).toBe('by');
    }
    expect(accusations.judge(who('by', 200), who('about', 10), 3).out).toBe('about');
  });

  it('makes both suspected where they have served alike, and is believed when it says so again', () => {
    const accusations = new Accusations();
    const alike = () => accusations.judge(who('by', TRUSTED_TOKENS), who('about', 0), 0);
    expect(alike()).toEqual(BOTH);
    expect(alike()).toEqual({ out: 'about', suspected: [] });
    expect(accusations.judge(who('by', 0), who('about', 0), LINK_REPORT_MS)).toEqual(BOTH);
  });

  it('is believed together with another from elsewhere, and not with one of its household', () => {
    const accusations = new Accusations();
    expect(accusations.judge(who('by', 0, 'home'), who('about', 0), 0)).toEqual(BOTH);
    const sibling = accusations.judge(who('sibling', 0, 'home'), who('about', 0), 0);
    expect(sibling.out).toBe(null);
    expect(accusations.judge(who('other', 0), who('about', 0), 0).out).toBe('about');
  });
});
