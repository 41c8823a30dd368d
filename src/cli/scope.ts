import { setTimeout as delay } from 'node:timers/promises';
import { ShoalError } from '../config/errors.ts';
import { SHUTDOWN_MS } from '../config/limits.ts';
import { onNpmGone } from './npm-parent.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a command opened, and the signal that tells it to stop. */
export interface Scope {
  /** Aborts on Ctrl-C, SIGTERM, SIGHUP, and when npm, which started us, is gone. */
  readonly signal: AbortSignal;
  /** Closed in reverse order when the command ends, however it ends. */
  defer(close: () => Promise<unknown>): void;
}

/**
 * Runs a command and ends the process: 0 after success, 1 after a failure, which is printed as `shoal: CODE: message`,
 * `interruptedExitCode` after a requested stop. A second Ctrl-C does not wait for the goodbyes.
 */
export async function runInScope(
  command: (scope: Scope) => Promise<void>,
  interruptedExitCode = 0,
): Promise<never> {
  const stop = new AbortController();
  const closers: (() => Promise<unknown>)[] = [];
  const crashed = new Promise<never>((_, reject) => {
    process.once('uncaughtException', reject);
    process.once('unhandledRejection', reject);
  });
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  onNpmGone(() => stop.abort());

  const interrupted = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });

  let exitCode = 0;
  try {
    const scope = { signal: stop.signal, defer: (close: () => Promise<unknown>) => void closers.push(close) };
    await Promise.race([command(scope), crashed, interrupted]);
  } catch (error) {
    if (!stop.signal.aborted) printError(error);
    exitCode = 1;
  }
  if (stop.signal.aborted) exitCode = interruptedExitCode;
  // What the command still awaits now ends by the signal or by its resources' closing.
  stop.abort();
  for (const close of closers.reverse()) {
    await Promise.race([close().catch(printError), delay(2 * SHUTDOWN_MS)]);
  }
  process.exit(exitCode);
}

/** One line for people; the stack only with SHOAL_DEBUG. */
export function printError(thrown: unknown): void {
  const error = ShoalError.from(thrown);
  process.stderr.write(`shoal: ${error.toString()}\n`);
  if (process.env.SHOAL_DEBUG) process.stderr.write(`${(error.cause as Error)?.stack ?? error.stack}\n`);
}
