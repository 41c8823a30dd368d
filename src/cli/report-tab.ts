import type { Logger } from 'pino';
import type { TabState } from './browser/tab-state.ts';

/** One line a change of a tab's phase. */
export function reportTab(log: Logger, tab: string, { phase, detail, error }: TabState): void {
  // A lost tab told its error as it failed; now it matters when it is back.
  const line = `${tab}: ${phase}${error && phase !== 'lost' ? `: ${error.code}: ${error.message}` : detail ? `: ${detail}` : ''}`;
  if (phase === 'failed' || phase === 'lost' || error) log.warn(line);
  else log.info(line);
}
