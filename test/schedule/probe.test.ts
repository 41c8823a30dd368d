import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ProbeAnswers, type ProbedStage, probeIds } from '../../src/schedule/probe.ts';

interface Who {
  readonly address?: string;
  readonly class?: string | null;
}

/** Stages of equal layers; a name in capitals is one that has nothing to prove and counts as a witness. */
function route(names: readonly string[], who: Record<string, Who> = {}): ProbedStage[] {
  const layers = 8 / names.length;
  return names.map((peer, i) => {
    const isKnown = peer === peer.toUpperCase();
    const { address = `at ${peer}`, class: name = 'x' } = who[peer] ?? {};
    const range = { start: i * layers, end: (i + 1) * layers };
    return { peer, address, class: name, ...range, isProven: isKnown, isWitness: isKnown };
  });
}
const answer = (stages: readonly ProbedStage[], ...tokens: number[]) => ({ stages, tokens });
const RIGHT = [1, 2, 3, 4];
const WRONG = [9, 9, 9, 9];

describe('the ids of a probe', () => {
  it('are ids of the model, others each time', () => {
    for (const vocab of [1, 2, 9, 1_000, 128_256]) {
      expect(probeIds(vocab, randomInt).every((id) => Number.isInteger(id) && id >= 0 && id < vocab)).toBe(
        true,
      );
    }
    expect(probeIds(128_256, randomInt)).not.toEqual(probeIds(128_256, randomInt));
    expect(probeIds(9, () => 3)).toHaveLength(8);
  });
});

describe('an answer', () => {
  it('is proof of nothing but a way where nobody can check it', () => {
    const answers = new ProbeAnswers();
    expect(answers.judge(answer(route(['a']), ...RIGHT), null)).toEqual({ kind: 'proved', vouched: [] });
  });

  it('that is the same wherever the layers are cut vouches for who gave it', () => {
    const answers = new ProbeAnswers();
    const verdict = answers.judge(answer(route(['a', 'b']), ...RIGHT), answer(route(['W']), ...RIGHT));
    expect(verdict).toEqual({ kind: 'proved', vouched: ['a', 'b', 'W'] });
  });

  it('of one household with another that has not served vouches for nobody', () => {
    const home = { a: { address: 'home' }, b: { address: 'home' } };
    const reference = answer(route(['b'], home), ...RIGHT);
    const verdict = new ProbeAnswers().judge(answer(route(['a'], home), ...RIGHT), reference);
    expect(verdict).toEqual({ kind: 'proved', vouched: [] });
  });

  it('is compared over classes too, by its first ids, and whose differs is doubted, however often', () => {
    for (const name of ['y', null]) {
      const answers = new ProbeAnswers();
      const other = route(['a'], { a: { class: name } });
      for (const witness of ['V', 'W', 'X', 'Y']) {
        const reference = answer(route([witness]), ...RIGHT);
        expect(answers.judge(answer(other, ...WRONG), reference)).toEqual({ kind: 'doubted', peers: ['a'] });
      }
      const alike = answers.judge(answer(other, 1, 2, 9, 9), answer(route(['W']), ...RIGHT));
      // As often as it was doubted has it to agree.
      expect(alike).toEqual({ kind: 'doubted', peers: ['a'] });
    }
    const alike = answer(route(['a'], { a: { class: 'y' } }), 1, 2, 9, 9);
    const verdict = new ProbeAnswers().judge(alike, answer(route(['W']), ...RIGHT));
    expect(verdict.kind).toBe('proved');
  });

  it('is wrong where two places say otherwise, and only doubtful where one does, however many it has', () => {
    const answers = new ProbeAnswers();
    const home = { V: { address: 'home' }, W: { address: 'home' } };
    const liar = answer(route(['A', 'liar']), ...WRONG);
    const doubted = { kind: 'doubted', peers: ['liar'] };
    expect(answers.judge(liar, answer(route(['V'], home), ...RIGHT))).toEqual(doubted);
    expect(answers.judge(liar, answer(route(['W'], home), ...RIGHT))).toEqual(doubted);
    expect([...answers.critics(['liar'])]).toEqual(['V', 'W']);
    expect(answers.judge(liar, answer(route(['X']), ...RIGHT))).toEqual({ kind: 'wrong', peers: ['liar'] });
  });

  it('is against the word of who shares a household with it, as of each of them', () => {
    const answers = new ProbeAnswers();
    const home = { a: { address: 'home' }, V: { address: 'home' }, W: { address: 'home' } };
    const liar = answer(route(['a'], home), ...WRONG);
    answers.judge(liar, answer(route(['V'], home), ...RIGHT));
    expect(answers.judge(liar, answer(route(['W'], home), ...RIGHT)).kind).toBe('wrong');
  });

  it('casts as much doubt on who has nobody to say the same, and counts for nothing against another', () => {
    const answers = new ProbeAnswers();
    const first = { stages: route(['liar']).map((stage) => ({ ...stage, isProven: true })), tokens: WRONG };
    const doubted = { kind: 'doubted', peers: ['a', 'liar'] };
    for (let i = 0; i < 3; i++) {
      expect(answers.judge(answer(route(['a']), ...RIGHT), first)).toEqual(doubted);
    }
    expect([...answers.critics(['a'])]).toEqual(['liar']);
    expect(answers.judge(answer(route(['a']), ...RIGHT), answer(route(['b']), ...RIGHT)).kind).toBe('proved');
  });

  it('of one that counts as much as the other doubts both', () => {
    const known = route(['A']).map((stage) => ({ ...stage, isProven: false }));
    const verdict = new ProbeAnswers().judge(answer(known, ...WRONG), answer(route(['W']), ...RIGHT));
    expect(verdict).toEqual({ kind: 'doubted', peers: ['A', 'W'] });
  });
});
