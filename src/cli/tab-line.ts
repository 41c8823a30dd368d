import type { Logger } from 'pino';
import { layersText } from '../model/shard.ts';
import type { TabState } from './browser/tab-state.ts';
import type { Mark } from './live-lines.ts';
import { printable } from './printable.ts';

/** Where a tab stands, on a line that is kept up to date. */
export function tabLine({ phase, detail, error, progress, shard }: TabState): { text: string; mark: Mark } {
  const layers = shard === undefined ? '' : layersText(shard.start, shard.end);
  if (phase === 'lost' || phase === 'failed' || error !== undefined) {
    const why = error !== undefined && phase !== 'lost' ? `${error.code}: ${error.message}` : detail;
    return { text: printable(`${phase}: ${why}`), mark: 'trouble' };
  }
  if (phase === 'serving') return { text: layers, mark: 'done' };
  if (progress === undefined) return { text: printable(detail || phase), mark: 'busy' };
  // What compiles counts no bytes.
  if (progress.bytesTotal === 0)
    return { text: `${phase.padEnd(11)}${layers && `  ${layers}`}`, mark: 'busy' };
  const done = (progress.bytesDone / 1e6).toFixed(1);
  const total = (progress.bytesTotal / 1e6).toFixed(1);
  return { text: `${phase.padEnd(11)}  ${done} of ${total} MB${layers && `  ${layers}`}`, mark: 'busy' };
}

/** One line a change of a tab's phase. */
export function reportTab(log: Logger, tab: string, { phase, detail, error }: TabState): void {
  // A lost tab told its error as it failed; now it matters when it is back.
  const line = `${tab}: ${phase}${error && phase !== 'lost' ? `: ${error.code}: ${error.message}` : detail ? `: ${detail}` : ''}`;
  if (phase === 'failed' || phase === 'lost' || error) log.warn(line);
  else log.info(line);
}

/** What is news of a tab once everything runs: that it left, and that it is back. */
export const isNews = ({ phase, error }: TabState): boolean =>
  phase === 'lost' || phase === 'failed' || phase === 'serving' || error !== undefined;
