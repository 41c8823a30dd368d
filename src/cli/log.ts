import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';

/**
 * People read it, so it goes to stderr as plain lines, coloured on a terminal; stdout belongs to answers.
 * SHOAL_LOG_LEVEL changes the level, SHOAL_LOG=json the format.
 */
export function createLogger(level = 'info'): Logger {
  const options = { level: process.env.SHOAL_LOG_LEVEL ?? level, base: null };
  if (process.env.SHOAL_LOG === 'json') return pino(options, pino.destination({ fd: 2, sync: true }));
  return pino(
    options,
    pretty({
      destination: 2,
      sync: true,
      colorize: process.stderr.isTTY,
      translateTime: 'SYS:HH:MM:ss',
      ignore: 'pid,hostname',
      singleLine: true,
    }),
  );
}
