import { ShoalError } from '../config/errors.ts';
import type { Timers } from '../mesh/timers.ts';

/** The server's log in the shape of pino's: kept where it tells of a bug, printed where someone wants to read it. */
export class SimLog {
  readonly level = 'debug';
  /** What the server says that it did not foresee. */
  readonly bugs: string[] = [];
  /** Takes every line. */
  onLine: ((line: string) => void) | null = null;
  readonly #timers: Timers;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  debug(...parts: unknown[]): void {
    this.#write('debug', parts);
  }

  info(...parts: unknown[]): void {
    this.#write('info', parts);
  }

  warn(...parts: unknown[]): void {
    this.#write('warn', parts);
  }

  error(...parts: unknown[]): void {
    const [context] = parts;
    const cause =
      typeof context === 'object' && context !== null && 'err' in context ? context.err : undefined;
    const stack = cause instanceof ShoalError && cause.cause instanceof Error ? cause.cause.stack : undefined;
    this.bugs.push(`${textOf(parts)} ${stack ?? (cause instanceof Error ? cause.stack : '')}`);
    this.#write('error', parts);
  }

  /** A control message as it arrives; signs of life and statistics are left out. */
  message(tab: string, to: 'tab' | 'server', text: string): void {
    if (this.onLine === null || /^."type":"(alive|stats)"/.test(text)) return;
    this.#write(to === 'tab' ? `${tab} <-` : `${tab} ->`, [text]);
  }

  child(): SimLog {
    return this;
  }

  #write(level: string, parts: readonly unknown[]): void {
    this.onLine?.(`${(this.#timers.now() / 1_000).toFixed(3)} ${level} ${textOf(parts)}`);
  }
}

function textOf(parts: readonly unknown[]): string {
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
}
