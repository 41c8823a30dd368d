import { z } from 'zod';
import { wireErrorSchema } from '../../mesh/protocol/control.ts';
import type { ContributorState } from '../../page/contributor-state.ts';

/** How the page, opened with `auto=1`, reports a change of its state on the console. */
const STATE_LINE = 'shoal-state ';

const stateSchema = z.object({
  phase: z.string(),
  detail: z.string(),
  error: wireErrorSchema.optional(),
  /** The server's id of the tab, once it has joined. */
  peer: z.string().optional(),
  progress: z.object({ bytesDone: z.number(), bytesTotal: z.number() }).optional(),
  shard: z.object({ start: z.number(), end: z.number() }).optional(),
});

/** What the command line reads of a tab's ContributorState. */
export type TabState = Pick<ContributorState, 'detail'> & z.infer<typeof stateSchema>;

/** @returns null for a console line that is something else */
export function parseStateLine(line: string): TabState | null {
  if (!line.startsWith(STATE_LINE)) return null;
  try {
    return stateSchema.parse(JSON.parse(line.slice(STATE_LINE.length)));
  } catch {
    return null;
  }
}

/** What Chrome says of a page that does not open, in words that help. */
export function lossReason(message: string): string {
  const [, code] = /net::(ERR_\w+)/.exec(message) ?? [];
  if (code === undefined) return message;
  if (/ERR_CERT_|ERR_SSL_/.test(code)) {
    return `the server's certificate is not trusted here (${code}); give the fingerprint that it printed at its start, --tls-fingerprint sha256:…, or take any with --insecure`;
  }
  if (code === 'ERR_CONNECTION_REFUSED') return `nothing listens at the server's address (${code})`;
  return message;
}

/** A tab that ended and is started again in `waitMs`; the error it ended with, if any, stays to be read. */
export function lostState(before: TabState | undefined, reason: string, waitMs: number): TabState {
  return {
    phase: 'lost',
    detail: `${reason}; starting again in ${(waitMs / 1000).toFixed(1)} s`,
    ...(before?.error !== undefined && { error: before.error }),
  };
}
