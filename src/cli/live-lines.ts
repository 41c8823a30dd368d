/** A few lines at the end of a terminal that are kept up to date, while log lines pass above them. */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 120;
/** Rows that are left to what stands above. */
const OTHER_ROWS = 2;

/** What is done is marked so; what is under way turns. */
export type Mark = 'busy' | 'done' | 'trouble';

export interface LiveTerminal {
  write(text: string): unknown;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

interface Line {
  readonly text: string;
  readonly mark: Mark;
}

export class LiveLines {
  readonly #terminal: LiveTerminal;
  readonly #lines = new Map<string, Line>();
  readonly #timer: NodeJS.Timeout;
  #drawn: readonly string[] = [];
  #frame = 0;
  #isEnded = false;

  constructor(terminal: LiveTerminal) {
    this.#terminal = terminal;
    this.#timer = setInterval(() => {
      // Nothing turns: who stays up for days writes nothing meanwhile.
      if (![...this.#lines.values()].some(({ mark }) => mark === 'busy')) return;
      this.#frame++;
      this.#draw();
    }, FRAME_MS);
    this.#timer.unref();
  }

  /** Shows `text`, one line, where the line of this name is, or below the others. */
  set(name: string, text: string, mark: Mark = 'busy'): void {
    if (this.#isEnded) return;
    this.#lines.set(name, { text, mark });
    this.#draw();
  }

  /** Writes what stays: whole lines. */
  above(text: string): void {
    if (this.#isEnded) this.#terminal.write(text);
    else this.#draw(text);
  }

  /** Takes the lines away. Idempotent. */
  end(): void {
    if (this.#isEnded) return;
    clearInterval(this.#timer);
    this.#terminal.write(this.#erasing());
    this.#drawn = [];
    this.#isEnded = true;
  }

  #draw(before = ''): void {
    const { columns = 80, rows = 24 } = this.#terminal;
    const width = Math.max(...[...this.#lines.keys()].map((name) => name.length));
    const all = [...this.#lines].map(([name, { text, mark }]) =>
      cut(`${this.#markOf(mark)} ${name.padEnd(width)}  ${text}`, columns - 1),
    );
    const room = Math.max(1, rows - OTHER_ROWS);
    const shown =
      all.length <= room
        ? all
        : [...all.slice(0, room - 1), cut(`  … and ${all.length - room + 1} more`, columns - 1)];
    // In one write, so that nothing flickers.
    this.#terminal.write(`${this.#erasing()}${before}${shown.join('\n')}`);
    this.#drawn = shown;
  }

  /** Back to where the first line began. A terminal that became narrower has wrapped what was drawn. */
  #erasing(): string {
    if (this.#drawn.length === 0) return '';
    const { columns = 80 } = this.#terminal;
    const rows = this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    return `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}\x1b[J`;
  }

  #markOf(mark: Mark): string {
    if (mark === 'busy') return FRAMES[this.#frame % FRAMES.length]!;
    return mark === 'done' ? '✓' : '!';
  }
}

const cut = (line: string, width: number) => {
  if (line.length <= width) return line;
  return width < 2 ? line.slice(0, Math.max(0, width)) : `${line.slice(0, width - 1)}…`;
};

/** Null where lines cannot be kept up to date, or the log was asked for in a form of its own. */
export function openLiveLines(
  terminal: LiveTerminal & { readonly isTTY?: boolean } = process.stderr,
  env: NodeJS.ProcessEnv = process.env,
): LiveLines | null {
  const isAble = terminal.isTTY === true && env.TERM !== 'dumb' && !env.SHOAL_LOG;
  return isAble ? new LiveLines(terminal) : null;
}
