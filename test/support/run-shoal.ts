import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface ShoalRun {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Both fill while the command runs. */
  readonly output: { stdout: string; stderr: string };
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

/** Starts the real command in its own process, as `npm start` does. */
export function runShoal(
  args: readonly string[],
  command: readonly string[] = ['node', 'bin/shoal.mjs'],
  env: Readonly<Record<string, string>> = {},
  cwd: string = ROOT,
): ShoalRun {
  const [program, ...first] = command as [string, ...string[]];
  const child = spawn(program, [...first, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  return { child, pid: child.pid!, output, ended };
}
