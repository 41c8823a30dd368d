import { describe, expect, it } from 'vitest';
import { ProbeAnswers, type ProbedStage, probeIds } from '../../src/schedule/probe.ts';

const stage = (peer: string, start: number, end: number, isProven = false, name: string | null = 'x') =>
  ({ peer, class: name, start, end, isProven }) satisfies ProbedStage;
const all = () => true;

describe('the ids of a probe', () => {
  it('are ids of the model, the same each time', () => {
    for (const vocab of [1, 2, 9, 1_000, 128_256]) {
      expect(probeIds(vocab)).toEqual(probeIds(vocab));
      expect(probeIds(vocab).every((id) => Number.isInteger(id) && id >= 0 && id < vocab)).toBe(true);
    }
    expect(new Set(probeIds(1_000)).size).toBe(8);
  });
});

describe('an answer', () => {
  it('is proof where nobody can check it', () => {
    const answers = new ProbeAnswers();
    const first = [stage('a', 0, 4), stage('b', 4, 8)];
    expect(answers.judge(first, [1, 2], all)).toEqual({ kind: 'proved', witnesses: 0 });
  });

  it('is compared wherever the layers are cut, and names who is new where others say otherwise', () => {
    const answers = new ProbeAnswers();
    answers.judge([stage('a', 0, 4), stage('b', 4, 8)], [1, 2], all);
    const alone = [stage('c', 0, 8)];
    expect(answers.judge(alone, [1, 2], all)).toEqual({ kind: 'proved', witnesses: 2 });
    const wrong = [stage('a', 0, 4, true), stage('liar', 4, 8)];
    expect(answers.judge(wrong, [1, 3], all)).toEqual({ kind: 'wrong', peers: ['liar'] });
    const two = [stage('liar', 0, 4), stage('d', 4, 8)];
    expect(answers.judge(two, [1, 3], all)).toEqual({ kind: 'wrong', peers: ['liar', 'd'] });
  });

  it('is not compared with those of another class, of an unknown one, of the distrusted, of the gone, or its own', () => {
    const answers = new ProbeAnswers();
    answers.judge([stage('a', 0, 4), stage('b', 4, 8)], [1, 2], all);
    const other = { kind: 'proved', witnesses: 0 };
    expect(answers.judge([stage('c', 0, 8, false, 'y')], [1, 3], all)).toEqual(other);
    expect(answers.judge([stage('c', 0, 8, false, null)], [1, 3], all)).toEqual(other);
    expect(answers.judge([stage('a', 0, 8), stage('b', 0, 8)], [1, 2], all)).toEqual(other);
    expect(answers.judge([stage('c', 0, 8)], [1, 3], () => false)).toEqual(other);
    for (const peer of ['a', 'b', 'c']) answers.forget(peer);
    expect(answers.judge([stage('d', 0, 8)], [1, 4], all)).toEqual(other);
  });

  it('decides nothing where those who are believed are at odds', () => {
    const answers = new ProbeAnswers();
    answers.judge([stage('a', 0, 8)], [1, 2], all);
    answers.judge([stage('b', 0, 8)], [1, 3], () => false);
    expect(answers.judge([stage('c', 0, 8)], [1, 4], all)).toEqual({ kind: 'proved', witnesses: 0 });
  });
});
