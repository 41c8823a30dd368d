import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { PREFILL_CHUNK_ROWS } from '../../src/config/limits.ts';
import { KeptBudget, KeptRows } from '../../src/worker/kept-rows.ts';
import { seededRandom } from './pipeline.ts';

const ROW_BYTES = 6;
const BLOCK_BYTES = PREFILL_CHUNK_ROWS * ROW_BYTES;

/** Rows [position, position + count), each told apart from every other by its bytes. */
function rowsAt(position: number, count: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(count * ROW_BYTES);
  const view = new DataView(bytes.buffer);
  for (let row = 0; row < count; row++) {
    view.setUint32(row * ROW_BYTES, position + row, true);
    view.setUint16(row * ROW_BYTES + 4, salt, true);
  }
  return bytes;
}

describe('kept rows', () => {
  it('are what was put in, whatever the cuts', () => {
    const random = seededRandom(5);
    const kept = new KeptRows(new KeptBudget());
    for (let position = 0; position < 500; ) {
      const count = 1 + Math.floor(random() * 64);
      kept.append(position, count, rowsAt(position, count));
      position += count;
    }
    for (let i = 0; i < 200; i++) {
      const position = Math.floor(random() * kept.end);
      const count = 1 + Math.floor(random() * Math.min(64, kept.end - position - 1));
      expect(kept.rows(position, count)).toEqual(rowsAt(position, count));
    }
  });

  it('are not those of the caller: what it does with its bytes later is its own affair', () => {
    const kept = new KeptRows(new KeptBudget());
    const mine = rowsAt(0, 3);
    kept.append(0, 3, mine);
    mine.fill(255);
    expect(kept.rows(0, 3)).toEqual(rowsAt(0, 3));
  });

  it('begin anywhere, and then go on without a gap', () => {
    const kept = new KeptRows(new KeptBudget());
    kept.append(70, 2, rowsAt(70, 2));
    expect([kept.from, kept.end]).toEqual([70, 72]);
    expect(() => kept.append(73, 1, rowsAt(73, 1))).toThrow(ShoalError);
    expect(() => kept.append(72, 1, new Uint8Array(7))).toThrow(/rows of 7 B/);
    expect(kept.rows(70, 2)).toEqual(rowsAt(70, 2));
  });

  it('are replaced from where they were cut off', () => {
    const kept = new KeptRows(new KeptBudget());
    kept.append(0, 100, rowsAt(0, 100));
    kept.truncate(40);
    kept.append(40, 60, rowsAt(40, 60, 9));
    expect(kept.rows(0, 40)).toEqual(rowsAt(0, 40));
    expect(kept.rows(40, 60)).toEqual(rowsAt(40, 60, 9));
    kept.truncate(0);
    expect([kept.from, kept.end, kept.bytes]).toEqual([0, 0, 0]);
    kept.append(0, 1, rowsAt(0, 1));
    kept.truncate(7);
    expect(kept.end).toBe(1);
  });

  it('cut off before where they begin are none, and go on from there', () => {
    const kept = new KeptRows(new KeptBudget());
    kept.append(100, 10, rowsAt(100, 10));
    kept.truncate(20);
    expect([kept.from, kept.end]).toEqual([20, 20]);
    kept.append(20, 5, rowsAt(20, 5));
    expect(kept.rows(20, 5)).toEqual(rowsAt(20, 5));
  });
});

describe('the budget of kept rows', () => {
  const keeper = (budget: KeptBudget, rows: number, sentTo: number | null) => {
    const kept = new KeptRows(budget);
    for (let position = 0; position < rows; position += 64) kept.append(position, 64, rowsAt(position, 64));
    const one = { kept, sentTo };
    budget.add(one);
    return one;
  };

  it('counts what is allocated, and nothing when it is over', () => {
    const budget = new KeptBudget();
    const one = keeper(budget, 192, 192);
    expect(budget.bytes).toBe(3 * BLOCK_BYTES);
    one.kept.forgetBefore(64);
    expect(budget.bytes).toBe(2 * BLOCK_BYTES);
    budget.remove(one);
    expect(budget.bytes).toBe(0);
  });

  it('leaves all alone up to the bound, and takes from the largest beyond it', () => {
    const budget = new KeptBudget(5 * BLOCK_BYTES);
    const small = keeper(budget, 128, 128);
    const large = keeper(budget, 192, 192);
    budget.enforce();
    expect([small.kept.from, large.kept.from]).toEqual([0, 0]);
    const third = keeper(budget, 64, 64);
    budget.enforce();
    expect([small.kept.from, large.kept.from, third.kept.from]).toEqual([0, 192, 0]);
  });

  it('never takes rows that have not been sent, or of which it is not known what the next stage has', () => {
    const budget = new KeptBudget(0);
    const sent = keeper(budget, 192, 100);
    const unknown = keeper(budget, 256, null);
    budget.enforce();
    expect([sent.kept.from, sent.kept.end]).toEqual([100, 192]);
    expect(sent.kept.rows(100, 92)).toEqual(rowsAt(100, 92));
    expect([unknown.kept.from, unknown.kept.end]).toEqual([0, 256]);
  });
});
