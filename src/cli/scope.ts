import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { ShoalError } from '../config/errors.ts';
import { REPEATED_SIGNAL_MS, SHUTDOWN_MS } from '../config/limits.ts';
import { onNpmGone } from './npm-parent.ts';
import { afterOutput, outputSettled, watchOutput } from './output-failure.ts';
import { printableLines } from './printable.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What a command opened, and the signal that tells it to stop. */
export interface Scope {
  /** Aborts on Ctrl-C, SIGTERM, and when npm, which started us, is gone; on SIGHUP unless `onHangUp` was called. */
  readonly signal: AbortSignal;
  /** Closed in reverse order when the command ends, however it ends; what takes longer than `withinMs` is left behind. */
  defer(close: () => Promise<unknown>, withinMs?: number): void;
  /** Runs before the command's error is told and anything is closed: a line that is kept up to date would take the error away. */
  beforeEnd(act: () => void): void;
  /** SIGHUP calls `listener` from now on, and no longer ends the command. A terminal that is closed still does. */
  onHangUp(listener: () => void): void;
}

/**
 * Runs a command and ends the process: 0 after success, 1 after a failure, which is printed as `shoal: CODE: message`,
 * `interruptedExitCode` after a requested stop. A second signal ends the process at once, whatever is still on its way.
 * Output that nobody takes any more stops the command (output-failure.ts).
 */
export async function runInScope(
  command: (scope: Scope) => Promise<void>,
  interruptedExitCode = 0,
): Promise<never> {
  const stop = new AbortController();
  const closers: { readonly close: () => Promise<unknown>; readonly withinMs: number }[] = [];
  const hadTerminal = hasTerminal();
  const onHangUp: (() => void)[] = [];
  const onEnd: (() => void)[] = [];
  const crashed = new Promise<never>((_, reject) => {
    process.once('uncaughtException', reject);
    process.once('unhandledRejection', reject);
  });
  let stoppedAtMs = 0;
  const stopOrExit = (name: NodeJS.Signals) => {
    if (!stop.signal.aborted) {
      stoppedAtMs = performance.now();
      stop.abort();
    } else if (performance.now() - stoppedAtMs > REPEATED_SIGNAL_MS) {
      process.exit(128 + constants.signals[name]);
    }
  };
  for (const name of STOP_SIGNALS) process.on(name, stopOrExit);
  process.on('SIGHUP', (name) => {
    // Windows sends it only when the console is closed.
    const isClosed = process.platform === 'win32' || (hadTerminal && !hasTerminal());
    if (onHangUp.length === 0 || isClosed) stopOrExit(name);
    else if (!stop.signal.aborted) for (const listener of onHangUp) listener();
  });
  onNpmGone(() => stop.abort());
  let isUnread = false;
  watchOutput(() => {
    isUnread = true;
    stop.abort();
  });

  const interrupted = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });

  let exitCode = 0;
  try {
    const scope: Scope = {
      signal: stop.signal,
      defer: (close, withinMs = 2 * SHUTDOWN_MS) => void closers.push({ close, withinMs }),
      beforeEnd: (act) => void onEnd.push(act),
      onHangUp: (listener) => void onHangUp.push(listener),
    };
    await Promise.race([command(scope), crashed, interrupted]);
  } catch (error) {
    // Who has stopped reading is told no fault either.
    await outputSettled();
    for (const act of onEnd.splice(0)) act();
    if (!stop.signal.aborted) printError(error);
    exitCode = 1;
  }
  for (const act of onEnd.splice(0)) act();
  if (stop.signal.aborted) exitCode = isUnread ? exitCode : interruptedExitCode;
  // What the command still awaits now ends by the signal or by its resources' closing.
  stop.abort();
  for (const { close, withinMs } of closers.reverse()) {
    await Promise.race([close().catch(printError), delay(withinMs)]);
  }
  return endProcess(exitCode);
}

/** Ends the process when what it wrote has left it; where that failed, the exit code says so. */
export async function endProcess(exitCode: number): Promise<never> {
  await outputSettled();
  const ending = afterOutput(exitCode);
  if (ending.error !== null) {
    printError(ending.error);
    await outputSettled();
  }
  process.exit(ending.exitCode);
}

/** Of the session, whatever the standard streams are. A terminal that was closed is none any more. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** One line for people; the stack only with SHOAL_DEBUG. */
export function printError(thrown: unknown): void {
  const error = ShoalError.from(thrown);
  // Several faults of a file: each on a line of its own, as editors take them.
  const space = error.message.includes('\n') ? '\n' : ' ';
  process.stderr.write(`shoal: ${error.code}:${space}${printableLines(error.message)}\n`);
  if (process.env.SHOAL_DEBUG)
    process.stderr.write(`${printableLines(String((error.cause as Error)?.stack ?? error.stack))}\n`);
}
