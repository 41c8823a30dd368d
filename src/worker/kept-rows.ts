import { ShoalError } from '../config/errors.ts';
import { MAX_KEPT_BYTES, PREFILL_CHUNK_ROWS } from '../config/limits.ts';

interface Block {
  /** Position of its first row. */
  readonly position: number;
  /** (PREFILL_CHUNK_ROWS, row) */
  readonly bytes: Uint8Array;
}

/**
 * The rows that a stage computed for one sequence, [from, end), those that wait to be sent and those that were: what the next stage
 * needs when it is replaced. Held in blocks of PREFILL_CHUNK_ROWS, so that a row of a large batch does not keep that batch alive.
 */
export class KeptRows {
  readonly #budget: KeptBudget;
  #blocks: Block[] = [];
  #from = 0;
  #end = 0;
  #rowBytes = 0;

  constructor(budget: KeptBudget) {
    this.#budget = budget;
  }

  get from(): number {
    return this.#from;
  }

  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#blocks.length * PREFILL_CHUNK_ROWS * this.#rowBytes;
  }

  /**
   * Copies rows that follow what is kept; where nothing is, they may start anywhere.
   * @param rows (count, row)
   * @throws INTERNAL for rows that do not follow, or of another width
   */
  append(position: number, count: number, rows: Uint8Array): void {
    const rowBytes = rows.byteLength / count;
    if (this.#from === this.#end) {
      this.clear();
      this.#from = position;
      this.#end = position;
      this.#rowBytes = rowBytes;
    }
    if (position !== this.#end || rowBytes !== this.#rowBytes) {
      throw new ShoalError(
        'INTERNAL',
        `rows of ${rowBytes} B at position ${position} do not follow rows of ${this.#rowBytes} B that end at ${this.#end}`,
      );
    }
    for (let done = 0; done < count; ) {
      const block = this.#blockAt(position + done);
      const at = position + done - block.position;
      const fit = Math.min(count - done, PREFILL_CHUNK_ROWS - at);
      block.bytes.set(rows.subarray(done * rowBytes, (done + fit) * rowBytes), at * rowBytes);
      done += fit;
    }
    this.#end = position + count;
  }

  /**
   * Rows [position, position + count), all of which are kept.
   * @returns (count, row), to be read before anything else is called here
   */
  rows(position: number, count: number): Uint8Array {
    const rowBytes = this.#rowBytes;
    const whole = new Uint8Array(count * rowBytes);
    for (const { position: start, bytes } of this.#blocks) {
      const from = Math.max(position, start);
      const to = Math.min(position + count, start + PREFILL_CHUNK_ROWS);
      if (from >= to) continue;
      const part = bytes.subarray((from - start) * rowBytes, (to - start) * rowBytes);
      if (to - from === count) return part;
      whole.set(part, (from - position) * rowBytes);
    }
    return whole;
  }

  /** Forgets rows at positions ≥ `position`; the next to come are those. */
  truncate(position: number): void {
    if (position >= this.#end) return;
    this.#end = position;
    this.#from = Math.min(this.#from, position);
    this.#keep(this.#blocks.filter((block) => block.position < this.#end));
  }

  /** Forgets rows at positions < `position`. */
  forgetBefore(position: number): void {
    if (position <= this.#from) return;
    this.#from = Math.min(position, this.#end);
    this.#keep(this.#blocks.filter((block) => block.position + PREFILL_CHUNK_ROWS > this.#from));
  }

  clear(): void {
    this.#from = this.#end;
    this.#keep([]);
  }

  #blockAt(position: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && position < last.position + PREFILL_CHUNK_ROWS) return last;
    const block = { position, bytes: new Uint8Array(PREFILL_CHUNK_ROWS * this.#rowBytes) };
    this.#blocks.push(block);
    this.#budget.changed(block.bytes.byteLength);
    return block;
  }

  #keep(blocks: Block[]): void {
    this.#budget.changed((blocks.length - this.#blocks.length) * PREFILL_CHUNK_ROWS * this.#rowBytes);
    this.#blocks = blocks;
  }
}

/** Whose rows are kept. */
export interface KeepsRows {
  readonly kept: KeptRows;
  /** Rows from here on have not been sent and must stay; null: it is not known yet which will be. */
  readonly sentTo: number | null;
}

/** What bounds the kept rows of all sequences of a worker together. */
export class KeptBudget {
  readonly #maxBytes: number;
  readonly #keepers = new Set<KeepsRows>();
  #bytes = 0;

  constructor(maxBytes: number = MAX_KEPT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(keeper: KeepsRows): void {
    this.#keepers.add(keeper);
  }

  /** The sequence is over. */
  remove(keeper: KeepsRows): void {
    keeper.kept.clear();
    this.#keepers.delete(keeper);
  }

  changed(byBytes: number): void {
    this.#bytes += byBytes;
  }

  /**
   * Over the bound sequences lose the rows that they have sent, the largest first: with a whole one gone, one answer is computed
   * again from further ahead if its stage is lost; with a part of each gone, all would be.
   */
  enforce(): void {
    if (this.#bytes <= this.#maxBytes) return;
    const largestFirst = [...this.#keepers].sort((a, b) => b.kept.bytes - a.kept.bytes);
    for (const { kept, sentTo } of largestFirst) {
      if (sentTo !== null) kept.forgetBefore(sentTo);
      if (this.#bytes <= this.#maxBytes) return;
    }
  }
}
