/**
 * What becomes of output that cannot be written. A reader that has seen enough (`| head -1`) is no failure: the command ends
 * at once and quietly, as one that dies of SIGPIPE. Any other reason, a full disk, is told, and the exit code says it
 * even where nothing can be told any more.
 */
import { constants } from 'node:os';
import { ShoalError } from '../config/errors.ts';

/** As a shell shows a program that SIGPIPE ended. Node ignores the signal itself. */
const ENDED_BY_PIPE = 128 + constants.signals.SIGPIPE;

export type OutputName = 'stdout' | 'stderr';

export interface OutputFailure {
  readonly name: OutputName;
  readonly cause: NodeJS.ErrnoException;
}

const failures = new Map<OutputName, OutputFailure>();
let onUnread = () => {};
let isWatched = false;

/** Also for those who write to the descriptor by themselves: the log. Of a stream the first failure counts. */
export function noteOutputFailure(name: OutputName, cause: NodeJS.ErrnoException): void {
  if (failures.has(name)) return;
  failures.set(name, { name, cause });
  if (name === 'stdout') onUnread();
}

/** From now on a failure to write does not throw. @param onStdout nobody gets the command's product any more */
export function watchOutput(onStdout: () => void = () => {}): void {
  onUnread = onStdout;
  if (isWatched) return;
  isWatched = true;
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].on('error', (cause: NodeJS.ErrnoException) => noteOutputFailure(name, cause));
  }
}

/** Resolves when everything written so far has left the process, or failed. */
export async function outputSettled(): Promise<void> {
  await Promise.all(
    (['stdout', 'stderr'] as const).map(
      (name) =>
        failures.has(name) || new Promise<void>((resolve) => process[name].write('', () => resolve())),
    ),
  );
  // A stream tells its error a turn after the write's own callback.
  await new Promise((resolve) => setImmediate(resolve));
}

/**
 * @param exitCode the command's own
 * @returns the exit code that tells what became of the output too, and the sentence about it, if any
 */
export function afterOutput(
  exitCode: number,
  failed: readonly OutputFailure[] = [...failures.values()],
): { readonly exitCode: number; readonly error: ShoalError | null } {
  const isCut = ({ cause }: OutputFailure) => cause.code === 'EPIPE';
  const lost = failed.find((failure) => !isCut(failure));
  if (lost !== undefined) {
    const { name, cause } = lost;
    const what = name === 'stdout' ? 'the output' : 'what the command has to say (its log, its errors)';
    return {
      exitCode: exitCode === 0 ? 1 : exitCode,
      error: new ShoalError(
        'OUTPUT_LOST',
        `${what} could not be written to ${name}: ${cause.message}; is the disk full?`,
        { cause },
      ),
    };
  }
  // A log whose reader is gone ends no server.
  const cutStdout = failed.some((failure) => isCut(failure) && failure.name === 'stdout');
  return { exitCode: cutStdout ? ENDED_BY_PIPE : exitCode, error: null };
}
