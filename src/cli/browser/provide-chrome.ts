import { fetchChrome } from '../../../scripts/fetch-chrome.mjs';
import { findChrome, NO_BROWSER_SENTENCE } from '../../../scripts/find-chrome.mjs';
import { step } from '../../../scripts/progress.mjs';
import { ShoalError } from '../../config/errors.ts';

export interface FoundChrome {
  /** The executable's path. */
  readonly path: string;
  readonly version: string;
}

export interface ChromeSource {
  readonly find: () => FoundChrome | null;
  readonly fetch: (report: (detail: string) => void, options: { signal?: AbortSignal }) => Promise<void>;
  /** CHROME_PATH, where it is set. */
  readonly named: string | undefined;
}

const SYSTEM: ChromeSource = { find: findChrome, fetch: fetchChrome, named: process.env.CHROME_PATH };

/**
 * The machine's Chrome or Chromium; without one, Chrome for Testing is fetched, with progress on stderr.
 * @throws NO_BROWSER with what to do; ABORTED
 */
export async function provideChrome(
  signal?: AbortSignal,
  { find, fetch, named }: ChromeSource = SYSTEM,
): Promise<FoundChrome> {
  const found = find();
  if (found !== null) return found;
  if (named) {
    throw new ShoalError(
      'NO_BROWSER',
      `CHROME_PATH is ${named}, which is no Chrome or Chromium that starts; correct or unset it`,
    );
  }
  try {
    await step('No Chrome on this machine: fetching one', (report) =>
      fetch(report, { ...(signal && { signal }) }),
    );
  } catch (error) {
    if (signal?.aborted) throw new ShoalError('ABORTED', 'fetching a browser was stopped', { cause: error });
    const why = error instanceof Error ? error.message : String(error);
    throw new ShoalError('NO_BROWSER', `${NO_BROWSER_SENTENCE}. Fetching one failed: ${why}`, {
      cause: error,
    });
  }
  const fetched = find();
  if (fetched !== null) return fetched;
  throw new ShoalError(
    'NO_BROWSER',
    'Chrome was fetched and does not start, as it does where system libraries are missing; install your system’s chromium package, which brings them',
  );
}
