/**
 * Fetches a Chrome where the machine has none: at set-up, and at first use of an installed package. Into puppeteer's
 * cache, where findChrome looks last. Packages are imported when they are needed, for set-up starts without them.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { puppeteerCacheFolder } from './find-chrome.mjs';

/** Without a further byte for so long the download is stuck. */
const SILENCE_MS = 60_000;
const OWN_FOLDER = /^\.shoal-fetch-(\d+)$/;

/**
 * The build that puppeteer-core is tested with, some 150 MB. PUPPETEER_CHROME_DOWNLOAD_BASE_URL names a mirror of
 * Chrome for Testing, HTTPS_PROXY a proxy, as for puppeteer itself.
 * @param {(detail: string) => void} report how far it is, for people
 * @param {{ silenceMs?: number, signal?: AbortSignal }} options
 * @returns {Promise<void>}
 * @throws where there is no build for this machine, no network, no room; the signal's reason
 */
export async function fetchChrome(report, { silenceMs = SILENCE_MS, signal } = {}) {
  const { Browser, install } = await import('@puppeteer/browsers');
  const { PUPPETEER_REVISIONS } = await import('puppeteer-core/internal/revisions.js');
  const baseUrl = process.env.PUPPETEER_CHROME_DOWNLOAD_BASE_URL;
  const cache = puppeteerCacheFolder();
  mkdirSync(cache, { recursive: true });
  removeLeftovers(cache);
  // An archive that is half there would be taken for a whole one by the next attempt, and by another process now.
  const own = join(cache, `.shoal-fetch-${process.pid}`);
  const watch = new Silence(silenceMs, signal);
  const installed = install({
    browser: Browser.CHROME,
    buildId: PUPPETEER_REVISIONS.chrome,
    cacheDir: own,
    ...(baseUrl && { baseUrl }),
    downloadProgressCallback: (done, total) => {
      // Unpacking says nothing, and takes as long as it takes.
      if (done >= total) watch.end();
      else watch.heard();
      report(
        done >= total
          ? 'unpacking'
          : `${Math.floor((100 * done) / Math.max(1, total))} % of ${Math.round(total / 1e6)} MB`,
      );
    },
  });
  try {
    const { path } = await Promise.race([installed, watch.broken]).catch((error) => {
      // Of its list of ways there is but one here.
      const [, reason = messageOf(error)] =
        /^All providers failed.*\n\s*- \w+: (.*)/.exec(messageOf(error)) ?? [];
      throw new Error(reason, { cause: error });
    });
    const place = join(cache, 'chrome', basename(path));
    mkdirSync(join(cache, 'chrome'), { recursive: true });
    // Another process may have been faster.
    if (!existsSync(place)) renameSync(path, place);
  } finally {
    watch.end();
    rmSync(own, { recursive: true, force: true });
  }
}

/** Rejects when nothing was heard for a while, or the signal says stop. */
class Silence {
  /** @type {Promise<never>} */
  broken;
  /** @type {(reason: unknown) => void} */
  #fail = () => {};
  #silenceMs;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {number} silenceMs @param {AbortSignal | undefined} signal */
  constructor(silenceMs, signal) {
    this.#silenceMs = silenceMs;
    this.broken = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // It may break before anybody waits, or after.
    this.broken.catch(() => {});
    signal?.addEventListener('abort', () => this.#fail(signal.reason), { once: true });
    if (signal?.aborted) this.#fail(signal.reason);
    this.heard();
  }

  heard() {
    this.end();
    this.#timer = setTimeout(
      () => this.#fail(new Error(`nothing came for ${this.#silenceMs / 1000} s`)),
      this.#silenceMs,
    );
  }

  end() {
    clearTimeout(this.#timer);
  }
}

/** What processes left that were killed while they fetched. @param {string} cache */
function removeLeftovers(cache) {
  for (const name of readdirSync(cache)) {
    const pid = Number(OWN_FOLDER.exec(name)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isAlive(pid)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
