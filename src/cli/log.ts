import { Writable } from 'node:stream';
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import { MAX_UNWRITTEN_LOG_BYTES } from '../config/limits.ts';
import { redaction } from './log-redaction.ts';
import { noteOutputFailure } from './output-failure.ts';
import { printable, printableJson } from './printable.ts';

/**
 * To stderr, for stdout belongs to answers: plain coloured lines where a terminal shows them, else one JSON object a
 * line for what collects them. SHOAL_LOG=pretty or json says otherwise, SHOAL_LOG_LEVEL how much.
 */
export function createLogger(level = 'info'): Logger {
  return loggerTo(formatOf(process.env.SHOAL_LOG, process.stderr.isTTY), {
    level: process.env.SHOAL_LOG_LEVEL ?? level,
  });
}

export type LogFormat = 'pretty' | 'json';

/** @param wanted SHOAL_LOG */
export function formatOf(wanted: string | undefined, isTerminal: boolean | undefined): LogFormat {
  if (wanted === 'pretty' || wanted === 'json') return wanted;
  return isTerminal ? 'pretty' : 'json';
}

/**
 * At once, so that nothing is lost when the process ends. A log that cannot be written (its disk is full) ends no server:
 * the last lines are kept for when it can, and the exit code will tell.
 */
function stderrAtOnce(): pino.DestinationStream {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_LOG_BYTES });
  destination.on('error', (error: NodeJS.ErrnoException) => noteOutputFailure('stderr', error));
  return destination;
}

/** The same as a stream, which pino-pretty wants, and would destroy after an error. */
function stderrStream(): Writable {
  const destination = stderrAtOnce();
  return new Writable({
    write(chunk, _, done) {
      destination.write(String(chunk));
      done();
    },
  });
}

/** Log lines that pass above what is kept up to date. */
export function loggerAbove(lines: { above(text: string): void }, level = 'info'): Logger {
  const destination = new Writable({
    write(chunk, _, done) {
      lines.above(String(chunk));
      done();
    },
  });
  return loggerTo('pretty', {
    level: process.env.SHOAL_LOG_LEVEL ?? level,
    destination,
    colorize: !process.env.NO_COLOR,
  });
}

/** @param destination default: stderr */
export function loggerTo(
  format: LogFormat,
  {
    level,
    destination,
    colorize = destination === undefined && process.stderr.isTTY,
  }: { readonly level: string; readonly destination?: Writable; readonly colorize?: boolean },
): Logger {
  const options = { ...redaction, level, base: null };
  if (format === 'json') return pino(options, destination ?? stderrAtOnce());
  const { streamWrite } = redaction.hooks;
  return pino(
    { ...options, hooks: { streamWrite: (line) => printableJson(streamWrite(line)) } },
    pretty({
      destination: destination ?? stderrStream(),
      sync: true,
      colorize,
      translateTime: 'SYS:HH:MM:ss',
      ignore: 'pid,hostname',
      singleLine: true,
      // Of the fields only this one is not printed as JSON.
      customPrettifiers: { name: (name) => printable(String(name)) },
      messageFormat: (line, key) => printable(String(line[key] ?? '')),
    }),
  );
}
