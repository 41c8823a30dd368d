/**
 * Fetches a Chrome where the machine has none: at set-up, and at first use of an installed package. Into puppeteer's
 * cache, where findChrome looks last. Packages are imported when they are needed, for set-up starts without them.
 */
import { puppeteerCacheFolder } from './find-chrome.mjs';

/** Without a further byte for so long the download is stuck. */
const SILENCE_MS = 60_000;

/**
 * The build that puppeteer-core is tested with, some 150 MB. PUPPETEER_CHROME_DOWNLOAD_BASE_URL names a mirror of
 * Chrome for Testing, HTTPS_PROXY a proxy, as for puppeteer itself.
 * @param {(detail: string) => void} report how far it is, for people
 * @param {{ silenceMs?: number }} options
 * @returns {Promise<void>}
 * @throws where there is no build for this machine, no network, no room
 */
export async function fetchChrome(report, { silenceMs = SILENCE_MS } = {}) {
  const { Browser, install } = await import('@puppeteer/browsers');
  const { PUPPETEER_REVISIONS } = await import('puppeteer-core/internal/revisions.js');
  const baseUrl = process.env.PUPPETEER_CHROME_DOWNLOAD_BASE_URL;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {(reason: Error) => void} */
  let giveUp = () => {};
  const stuck = new Promise((_, reject) => {
    giveUp = reject;
  });
  const stillAlive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => giveUp(new Error(`nothing came for ${silenceMs / 1000} s`)), silenceMs);
  };
  stillAlive();
  const installed = install({
    browser: Browser.CHROME,
    buildId: PUPPETEER_REVISIONS.chrome,
    cacheDir: puppeteerCacheFolder(),
    ...(baseUrl && { baseUrl }),
    downloadProgressCallback: (done, total) => {
      stillAlive();
      // Unpacking says nothing, and takes as long as it takes.
      if (done >= total) clearTimeout(timer);
      report(
        done >= total
          ? 'unpacking'
          : `${Math.floor((100 * done) / Math.max(1, total))} % of ${Math.round(total / 1e6)} MB`,
      );
    },
  });
  try {
    await Promise.race([installed, stuck]).catch((error) => {
      // Of its list of ways there is but one here.
      const [, reason = messageOf(error)] =
        /^All providers failed.*\n\s*- \w+: (.*)/.exec(messageOf(error)) ?? [];
      throw new Error(reason, { cause: error });
    });
  } finally {
    clearTimeout(timer);
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
