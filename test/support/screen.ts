/** What a terminal of some size shows of what is written to it: text that wraps, line ends, and the two sequences that LiveLines uses. */
export class Screen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  #lines: string[] = [''];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  get text(): string {
    return this.#lines.map((line) => line.trimEnd()).join('\n');
  }

  write(text: string): void {
    const sequence = new RegExp(`${String.fromCharCode(27)}\\[(\\d*)([AJ])|([\\s\\S])`, 'gu');
    for (const [, count, command, character] of text.matchAll(sequence)) {
      if (command === 'A') this.#row = Math.max(0, this.#row - Number(count || 1));
      else if (command === 'J') {
        this.#lines.length = this.#row + 1;
        this.#lines[this.#row] = this.#lines[this.#row]!.slice(0, this.#column);
      } else if (character === '\r') this.#column = 0;
      else if (character === '\n') this.#newLine();
      else this.#put(character!);
    }
  }

  /** Long lines wrap anew, as most terminals do; the cursor stays behind its text. */
  narrow(columns: number): void {
    const before = this.#lines;
    this.columns = columns;
    this.#lines = [''];
    this.#row = 0;
    this.#column = 0;
    before.forEach((line, index) => {
      if (index > 0) this.#newLine();
      for (const character of line.trimEnd()) this.#put(character);
    });
  }

  #put(character: string): void {
    if (this.#column === this.columns) this.#newLine();
    const line = this.#lines[this.#row]!.padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column++;
  }

  #newLine(): void {
    this.#row++;
    this.#column = 0;
    this.#lines[this.#row] ??= '';
  }
}
