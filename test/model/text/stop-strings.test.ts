import { describe, expect, it } from 'vitest';
import { StopStrings } from '../../../src/model/text/stop-strings.ts';

function stream(stops: readonly string[], pieces: readonly string[]) {
  const matcher = new StopStrings(stops);
  const shown: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = matcher.push(piece);
    shown.push(text);
    if (stopped) return { text: shown.join(''), stopped, shown };
  }
  const before = shown.join('');
  return { text: before + matcher.flush(), stopped: false, shown };
}

/** The naive way: the whole text at hand, cut where the first stop string begins. */
function naive(stops: readonly string[], text: string): string {
  const found = stops
    .filter((stop) => stop !== '')
    .map((stop) => text.indexOf(stop))
    .filter((at) => at >= 0);
  return found.length === 0 ? text : text.slice(0, Math.min(...found));
}

/** mulberry32: the same cases in every run. */
function randomFrom(seed: number) {
  let state = seed;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

describe('stop strings', () => {
  it('are found across pieces, and nothing of them is shown', () => {
    expect(stream(['\nUser:'], ['Tokyo.', '\nUs', 'er: and', ' more'])).toMatchObject({
      text: 'Tokyo.',
      stopped: true,
      shown: ['Tokyo.', '', ''],
    });
  });

  it('hold back no more than what may be the start of one', () => {
    expect(stream(['abcd'], ['xab', 'y', 'abc', 'abcx']).shown).toEqual(['x', 'aby', '', 'abcabcx']);
    expect(stream(['aab'], ['aaa', 'ab']).shown).toEqual(['a', 'a']);
  });

  it('give back what was held when the text ends', () => {
    expect(stream(['abcd'], ['xabc'])).toMatchObject({ text: 'xabc', stopped: false, shown: ['x'] });
  });

  it('let the one that begins first win, even if another is whole before', () => {
    expect(stream(['abcd', 'bc'], ['xabc', 'd', 'e'])).toMatchObject({ text: 'x', stopped: true });
    expect(stream(['abcd', 'bc'], ['xabc', 'e'])).toMatchObject({ text: 'xa', stopped: true });
    expect(stream(['abcd', 'bc'], ['xabc'])).toMatchObject({ text: 'xa' });
  });

  it('do nothing when empty or absent', () => {
    expect(stream([], ['a', 'b']).shown).toEqual(['a', 'b']);
    expect(stream([''], ['a', 'b']).shown).toEqual(['a', 'b']);
  });

  it('stay stopped', () => {
    const matcher = new StopStrings(['x']);
    expect(matcher.push('axb')).toEqual({ text: 'a', stopped: true });
    expect(matcher.push('more')).toEqual({ text: '', stopped: true });
    expect(matcher.flush()).toBe('');
  });

  it('agree with the naive way on 20,000 texts cut at random, and never show what is later taken back', () => {
    const random = randomFrom(1);
    const word = (length: number) => Array.from({ length }, () => 'abc'[random(3)]).join('');
    let stoppedCount = 0;
    for (let round = 0; round < 20_000; round++) {
      const stops = Array.from({ length: random(4) }, () => word(random(5)));
      const pieces = Array.from({ length: random(8) }, () => word(random(4)));
      const wanted = naive(stops, pieces.join(''));
      const { text, stopped, shown } = stream(stops, pieces);
      const label = JSON.stringify({ stops, pieces });
      expect(text, label).toBe(wanted);
      expect(wanted.startsWith(shown.join('')), label).toBe(true);
      if (stopped) stoppedCount++;
    }
    expect(stoppedCount).toBeGreaterThan(5_000);
  });

  it('never hold back more than the longest stop string less one character', () => {
    const random = randomFrom(2);
    for (let round = 0; round < 2_000; round++) {
      const stops = ['abca', 'cab'];
      const matcher = new StopStrings(stops);
      let given = 0;
      let shown = 0;
      for (let i = 0; i < 30; i++) {
        const { text, stopped } = matcher.push('abc'[random(3)]!);
        if (stopped) break;
        given++;
        shown += text.length;
        expect(given - shown).toBeLessThan(4);
      }
    }
  });
});
