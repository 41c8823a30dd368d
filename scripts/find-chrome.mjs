/**
 * Where a Chrome or Chromium is on this machine. Used by set-up (before any package is installed, hence no
 * dependencies), by `shoal worker` and by the tests, so that all three run the same browser.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/**
 * @typedef {object} Machine What the finder looks at; tests pass their own.
 * @property {NodeJS.Platform} platform
 * @property {Record<string, string | undefined>} env
 * @property {string} home
 */

/** @type {Machine} */
const THIS_MACHINE = { platform: process.platform, env: process.env, home: homedir() };

const LINUX_NAMES = ['google-chrome-stable', 'google-chrome', 'chrome', 'chromium', 'chromium-browser'];

/** Directories in which Linux packages keep the binary that their launcher in `bin` starts. */
const LINUX_LIBRARY_DIRS = [
  '/opt/google/chrome',
  '/usr/lib/chromium',
  '/usr/lib64/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/snap/chromium/current/usr/lib/chromium-browser',
];

/** A file beside every Chrome since 2020: the Vulkan driver manifest of its software adapter. */
const SWIFTSHADER_ICD = 'vk_swiftshader_icd.json';

/**
 * Places to look, best first: CHROME_PATH, the system's, then what puppeteer once fetched.
 * @param {Machine} machine
 * @returns {string[]}
 */
export function chromeCandidates(machine = THIS_MACHINE) {
  const { env, home, platform } = machine;
  // Named but missing must not silently become another browser.
  if (env.CHROME_PATH) return [env.CHROME_PATH];
  /** @type {string[]} */
  const found = [];
  if (platform === 'darwin') {
    for (const app of ['Google Chrome', 'Chromium', 'Google Chrome Canary']) {
      for (const root of ['/Applications', join(home, 'Applications')]) {
        found.push(`${root}/${app}.app/Contents/MacOS/${app}`);
      }
    }
  } else if (platform === 'win32') {
    for (const root of [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA]) {
      if (!root) continue;
      found.push(join(root, 'Google', 'Chrome', 'Application', 'chrome.exe'));
      found.push(join(root, 'Chromium', 'Application', 'chrome.exe'));
    }
  } else {
    const dirs = (env.PATH ?? '').split(delimiter).filter(Boolean);
    for (const name of LINUX_NAMES) for (const dir of dirs) found.push(join(dir, name));
    found.push('/opt/google/chrome/chrome', '/usr/bin/chromium', '/snap/bin/chromium');
  }
  return [...found, ...puppeteerCache(machine)];
}

/** @param {Machine} machine where puppeteer, and what fetches for us (fetch-chrome.mjs), puts browsers */
export function puppeteerCacheFolder({ env, home } = THIS_MACHINE) {
  return env.PUPPETEER_CACHE_DIR || join(home, '.cache', 'puppeteer');
}

/** @param {Machine} machine @returns {string[]} newest first */
function puppeteerCache(machine) {
  const { platform } = machine;
  const root = join(puppeteerCacheFolder(machine), 'chrome');
  if (!existsSync(root)) return [];
  const inside =
    platform === 'darwin'
      ? ['chrome-mac-arm64', 'chrome-mac-x64'].map((dir) =>
          join(dir, 'Google Chrome for Testing.app', 'Contents', 'MacOS', 'Google Chrome for Testing'),
        )
      : platform === 'win32'
        ? [join('chrome-win64', 'chrome.exe'), join('chrome-win32', 'chrome.exe')]
        : [join('chrome-linux64', 'chrome'), join('chrome-linux', 'chrome')];
  const builds = readdirSync(root).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return builds.flatMap((build) => inside.map((path) => join(root, build, path)));
}

/**
 * The first candidate that is there and runs.
 * @param {Machine} machine
 * @returns {{ path: string, version: string } | null}
 */
export function findChrome(machine = THIS_MACHINE) {
  for (const path of new Set(chromeCandidates(machine))) {
    const version = chromeVersion(path, machine.platform);
    if (version !== null) return { path, version };
  }
  return null;
}

/**
 * Runs `chrome --version`, which also finds missing shared libraries and Ubuntu's snap stub. Windows' Chrome
 * opens a window on `--version`, so there the file's presence has to do.
 * @param {string} path
 * @param {NodeJS.Platform} platform
 * @returns {string | null} null when this is no browser that starts
 */
export function chromeVersion(path, platform = process.platform) {
  try {
    if (!statSync(path).isFile()) return null;
    accessSync(path, constants.X_OK);
    if (platform === 'win32') return 'unknown';
    const text = execFileSync(path, ['--version'], {
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return /\d+(\.\d+)+/.exec(text)?.[0] ?? null;
  } catch {
    return null;
  }
}

/** One sentence for people without a browser. */
export const NO_BROWSER_SENTENCE =
  'no Chrome or Chromium was found; install Google Chrome or your system’s chromium package, or set CHROME_PATH to its executable';

/**
 * What npm `webgpu` (Dawn under Node) needs before Node starts: on Linux it loads a Vulkan driver, and the one that
 * lies beside Chrome works everywhere. macOS (Metal) and Windows (D3D12) need nothing. Variables already set stay.
 * @param {string} chromePath
 * @param {Machine} machine
 * @returns {Record<string, string>} empty where nothing is needed or nothing was found
 */
export function dawnEnvironment(chromePath, machine = THIS_MACHINE) {
  if (machine.platform !== 'linux' || machine.env.VK_ICD_FILENAMES) return {};
  const dir = [...launcherDirs(chromePath), ...LINUX_LIBRARY_DIRS].find((d) =>
    existsSync(join(d, SWIFTSHADER_ICD)),
  );
  if (dir === undefined) return {};
  /** @type {Record<string, string>} */
  const env = { VK_ICD_FILENAMES: join(dir, SWIFTSHADER_ICD) };
  if (existsSync(join(dir, 'libvulkan.so.1'))) {
    env.LD_LIBRARY_PATH = [dir, machine.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  }
  return env;
}

/**
 * Directories that may hold the real binary: behind symlinks, and named by a shell launcher (Debian, Fedora, Arch).
 * @param {string} chromePath
 * @returns {string[]}
 */
function launcherDirs(chromePath) {
  let real = chromePath;
  try {
    real = realpathSync(chromePath);
  } catch {
    return [];
  }
  const dirs = [dirname(real)];
  if (statSync(real).size < 65_536) {
    const named = readFileSync(real, 'utf8').match(/\/(?:usr|opt|snap)\/[\w./-]*chrom[\w./-]*/g) ?? [];
    for (const path of named) dirs.push(path, dirname(path));
  }
  return dirs;
}
