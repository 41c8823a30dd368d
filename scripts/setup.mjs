/**
 * Makes a bare clone ready: packages, a browser, the built page. Run by `prestart`, `pretest` and every `prebench`;
 * a second run finds everything in place and returns at once. No dependencies: it runs before there are any.
 *
 * Usage: node scripts/setup.mjs [--no-page] [--root DIR]
 */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPage, pageIsStale } from './build-page.mjs';
import { fetchChrome } from './fetch-chrome.mjs';
import { findChrome, NO_BROWSER_SENTENCE } from './find-chrome.mjs';
import { step } from './progress.mjs';
import { runCommand } from './run-command.mjs';

const MIN_NODE_MAJOR = 20;
const MIN_NODE_MINOR = 19;
/** A download that takes longer is stuck; setup then says so and tries the next way. */
const FETCH_TIMEOUT_MS = 10 * 60_000;

/** npm writes it at the end of every install. */
const INSTALLED_LOCK = join('node_modules', '.package-lock.json');

class SetupFailed extends Error {}

/** @param {string} version e.g. "20.19.0" */
export function nodeIsOldEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > MIN_NODE_MAJOR || (major === MIN_NODE_MAJOR && minor >= MIN_NODE_MINOR);
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean }} Package */

/**
 * Whether what npm says it installed is something else than what the lock file asks for. By content, not by time: a checkout,
 * a rebase or a copy of the folder makes files new and changes nothing.
 * @param {string} root
 */
export function packagesAreStale(root) {
  const installed = packagesOf(join(root, INSTALLED_LOCK));
  if (installed === null) return true;
  return Object.entries(packagesOf(join(root, 'package-lock.json')) ?? {}).some(([path, wanted]) => {
    if (path === '') return false;
    const found = installed[path];
    // What is for another platform is left out.
    if (found === undefined) return wanted.optional !== true;
    return found.version !== wanted.version || (found.integrity ?? wanted.integrity) !== wanted.integrity;
  });
}

/** @param {string} file @returns {Record<string, Package> | null} */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch {
    return null;
  }
}

/** @param {string} root */
async function installPackages(root) {
  if (!packagesAreStale(root)) return;
  const common = ['--include=dev', '--no-audit', '--no-fund', '--loglevel', 'http'];
  await step('Installing packages', async (report) => {
    const options = { cwd: root, onLine: report, keep: /^npm error/ };
    try {
      await runCommand('npm', ['ci', ...common], options);
    } catch (error) {
      if (!LOCK_REFUSED.test(messageOf(error))) throw packagesFailed(error);
      // npm ≥ 11.16 refuses a lock file without entries for other platforms' optional binaries, even one it wrote
      // itself (npm/cli#9846). `install` takes the same versions from it; `--no-save` leaves the file alone.
      await runCommand('npm', ['install', '--no-save', ...common], options).catch((again) => {
        throw packagesFailed(again);
      });
    }
  });
}

/** `npm ci` without a lock file, or with one it finds incomplete. */
const LOCK_REFUSED = /\bEUSAGE\b/;

/** @param {unknown} error */
function packagesFailed(error) {
  return new SetupFailed(
    `${messageOf(error)}\nThe packages could not be installed; check the network and npm’s registry, then run the same command again.`,
  );
}

/** @typedef {{ path: string, version: string, mtimeMs: number }} FoundBrowser */

/** @param {string} root */
async function provideBrowser(root) {
  const record = join(root, 'node_modules', '.shoal-setup.json');
  if (!process.env.CHROME_PATH && isStillThere(readRecord(record))) return;
  const browser = findChrome() ?? (process.env.CHROME_PATH ? null : await fetchBrowser());
  if (browser === null) {
    throw new SetupFailed(
      process.env.CHROME_PATH
        ? `CHROME_PATH is ${process.env.CHROME_PATH}, which is no Chrome or Chromium that starts; correct or unset it.`
        : `${NO_BROWSER_SENTENCE}.`,
    );
  }
  mkdirSync(dirname(record), { recursive: true });
  const { mtimeMs } = statSync(browser.path);
  writeFileSync(record, `${JSON.stringify({ ...browser, mtimeMs })}\n`);
}

/**
 * Chrome for Testing first, then the distribution's package; tells on stderr why a way failed.
 * @param {() => { path: string, version: string } | null} find
 */
export async function fetchBrowser(find = findChrome) {
  /** @type {string[]} */
  const reasons = [];
  for (const [title, fetch] of [
    ['Fetching Chrome', fetchForTesting],
    ['Installing chromium', installWithApt],
  ]) {
    try {
      const tried = await /** @type {typeof installWithApt} */ (fetch)(/** @type {string} */ (title));
      if (!tried) continue;
      const browser = find();
      if (browser !== null) return browser;
      reasons.push(`${title}: what came does not start (missing system libraries?)`);
    } catch (error) {
      reasons.push(`${title}: ${messageOf(error)}`);
    }
  }
  process.stderr.write(`${reasons.join('\n')}\n`);
  return null;
}

/** @param {string} title */
async function fetchForTesting(title) {
  await step(title, (report) => fetchChrome(report));
  return true;
}

/** @param {string} title */
async function installWithApt(title) {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await step(title, async (report) => {
    await runCommand('apt-get', ['update'], { env, onLine: report, timeoutMs: FETCH_TIMEOUT_MS });
    await runCommand('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], {
      env,
      onLine: report,
    });
  });
  return true;
}

/** @param {string} file @returns {FoundBrowser | null} */
function readRecord(file) {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8'));
    return typeof record?.path === 'string' && typeof record?.mtimeMs === 'number' ? record : null;
  } catch {
    return null;
  }
}

/**
 * Starting the browser to ask its version takes half a second; an unchanged file needs no second asking.
 * @param {FoundBrowser | null} record
 */
function isStillThere(record) {
  return record !== null && statSync(record.path, { throwIfNoEntry: false })?.mtimeMs === record.mtimeMs;
}

/** @param {string} root */
async function providePage(root) {
  if (!pageIsStale(root)) return;
  await step('Building the page', (report) => buildPage(root, report));
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {readonly string[]} args */
async function main(args) {
  const rootAt = args.indexOf('--root');
  const root = resolve(
    rootAt < 0 ? join(dirname(fileURLToPath(import.meta.url)), '..') : (args[rootAt + 1] ?? '.'),
  );
  if (!nodeIsOldEnough(process.versions.node)) {
    throw new SetupFailed(
      `this is Node ${process.versions.node}, Shoal needs ${MIN_NODE_MAJOR}.${MIN_NODE_MINOR} or newer; install a current Node from https://nodejs.org.`,
    );
  }
  await installPackages(root);
  await provideBrowser(root);
  if (!args.includes('--no-page')) await providePage(root);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2))
    .catch((error) => {
      process.stderr.write(`setup: ${messageOf(error)}\n`);
      process.exitCode = 1;
    })
    // A download that was given up may hold its connection for long.
    .finally(() => process.exit());
}
