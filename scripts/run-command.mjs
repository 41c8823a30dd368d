import { spawn } from 'node:child_process';

/** What of a command's output goes into a failure's message: npm tells the reason first, compilers last. */
const HEAD_CHARS = 1_000;
const TAIL_CHARS = 1_000;

export class CommandFailed extends Error {
  /**
   * @param {string} command
   * @param {string} reason
   * @param {string} output
   */
  constructor(command, reason, output) {
    super(`\`${command}\` ${reason}${output && `:\n${output}`}`);
  }
}

/**
 * Runs a command without a terminal. Its output is kept for the error and reported line by line, never printed.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void, timeoutMs?: number, keep?: RegExp }} options
 *   `keep`: only such lines stand in a failure's message
 * @returns {Promise<string>} stdout and stderr, head and tail
 * @throws {CommandFailed}
 */
export function runCommand(command, args, { cwd, env, onLine, timeoutMs, keep } = {}) {
  return new Promise((resolve, reject) => {
    const shown = [command, ...args].join(' ');
    let head = '';
    let tail = '';
    const child = spawn(command, args, {
      ...(cwd && { cwd }),
      ...(timeoutMs && { timeout: timeoutMs }),
      env: env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // npm and npx are .cmd files on Windows, which only a shell starts.
      shell: process.platform === 'win32',
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        const lines = text.split(/\r?\n|\r/);
        const last = lines.findLast((line) => line.trim());
        if (last && onLine) onLine(last.trim());
        const kept = keep ? lines.filter((line) => keep.test(line)).map((line) => `${line}\n`) : [text];
        const room = HEAD_CHARS - head.length;
        head += kept.join('').slice(0, room);
        tail = (tail + kept.join('').slice(room)).slice(-TAIL_CHARS);
      });
    }
    child.on('error', (error) => reject(new CommandFailed(shown, `could not start (${error.message})`, '')));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(head + tail);
      const reason = signal ? `was ended by ${signal}` : `exited with ${code}`;
      reject(new CommandFailed(shown, reason, (tail ? `${head} … ${tail}` : head).trim()));
    });
  });
}
