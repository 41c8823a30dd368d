/** A command at a terminal of its own, by util-linux's `script`: what is shown, and what is typed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { until } from './processes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** macOS has a `script` with other options; a machine without either cannot run these tests. */
export const hasPseudoTerminals =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

export interface TerminalRun {
  readonly child: ChildProcess;
  /** Everything that was shown so far, escape sequences included. */
  readonly raw: () => string;
  /** The same as text, without escape sequences and carriage returns. */
  readonly text: () => string;
  type(keys: string): void;
  /** Waits for a text that is shown after what was waited for before. */
  see(text: string | RegExp): Promise<void>;
  /** The command's exit code. */
  readonly ended: Promise<number | string>;
}

export function runAtTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): TerminalRun {
  const command = [
    'stty cols 80 rows 24;',
    'exec',
    process.execPath,
    'bin/shoal.mjs',
    ...args.map((arg) => `'${arg}'`),
  ];
  const child = spawn('script', ['-qfec', command.join(' '), '/dev/null'], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
  });
  let raw = '';
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
    raw += piece;
  });
  const text = () => stripVTControlCharacters(raw).replaceAll('\r', '');
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  let seenTo = 0;
  return {
    child,
    raw: () => raw,
    text,
    ended,
    type: (keys) => void child.stdin!.write(keys),
    async see(wanted) {
      const pattern = typeof wanted === 'string' ? wanted : new RegExp(wanted.source, wanted.flags);
      const end = () => {
        const rest = text().slice(seenTo);
        if (typeof pattern === 'string') {
          const at = rest.indexOf(pattern);
          return at < 0 ? -1 : at + pattern.length;
        }
        const match = pattern.exec(rest);
        return match === null ? -1 : match.index + match[0].length;
      };
      await until(`${String(wanted)} is shown`, () => {
        if (child.exitCode !== null && end() < 0)
          throw new Error(`ended before ${String(wanted)} was shown:\n${text()}`);
        return end() >= 0;
      }).catch((error: Error) => {
        throw new Error(`${error.message}; shown:\n${text().slice(seenTo)}`);
      });
      seenTo += end();
    },
  };
}
