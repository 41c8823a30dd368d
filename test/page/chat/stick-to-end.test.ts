import { expect, it } from 'vitest';
import { sticksToEnd } from '../../../src/page/chat/stick-to-end.ts';

const at = (scrollTop: number, scrollHeight = 1_000) => ({ scrollTop, scrollHeight, clientHeight: 300 });

it('a few pixels up let go, however slowly a finger goes', () => {
  expect(sticksToEnd(true, 700, at(693))).toBe(false);
  expect(sticksToEnd(false, 693, at(690))).toBe(false);
});

it('near the end it sticks again, on the way down only', () => {
  expect(sticksToEnd(false, 500, at(640))).toBe(false);
  expect(sticksToEnd(false, 640, at(670))).toBe(true);
  expect(sticksToEnd(false, 690, at(670))).toBe(false);
});

it('a text that grows, or gets shorter, stays at its end', () => {
  expect(sticksToEnd(true, 700, at(700, 1_200))).toBe(true);
  expect(sticksToEnd(true, 700, at(500, 800))).toBe(true);
  expect(sticksToEnd(true, 700, at(499.2, 800))).toBe(true);
});
