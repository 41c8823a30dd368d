import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pageIsStale } from '../../scripts/build-page.mjs';
import { nodeIsOldEnough, packagesAreStale } from '../../scripts/setup.mjs';

// Each case starts Node and shells; on a busy machine that takes seconds.
vi.setConfig({ testTimeout: 60_000 });

/** The real script in a scratch checkout whose npm is a shell script: what it does is what the test says. */
let root: string;
const log = () =>
  existsSync(join(root, 'log')) ? readFileSync(join(root, 'log'), 'utf8').trim().split('\n') : [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-setup-'));
  cpSync(fileURLToPath(new URL('../../scripts', import.meta.url)), join(root, 'scripts'), {
    recursive: true,
  });
  write('package.json', '{}');
  write('package-lock.json', '{}');
  command(
    'npm',
    'echo "npm $1 $2" >> "$ROOT/log"; mkdir -p node_modules; echo {} > node_modules/.package-lock.json',
  );
  command('chrome', 'echo "chrome $1" >> "$ROOT/log"; echo "Chrome 150.0.1"');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

function command(name: string, script: string): void {
  write(join('bin', name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(root, 'bin', name), 0o755);
}

function setup(env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'scripts', 'setup.mjs'), '--no-page'],
    {
      encoding: 'utf8',
      env: { ROOT: root, PATH: `${join(root, 'bin')}:/usr/bin:/bin`, HOME: root, ...env },
    },
  );
  return { status, stdout, stderr };
}

describe('setup', () => {
  it('installs, finds the browser, and the second time does neither', () => {
    expect(setup({ CHROME_PATH: join(root, 'bin', 'chrome') })).toMatchObject({ status: 0, stdout: '' });
    expect(log()).toEqual(['npm ci --include=dev', 'chrome --version']);
    const again = setup();
    expect(again).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(log()).toHaveLength(2);
  });

  it('looks for a browser again when the one it knew has changed', () => {
    setup();
    const known = JSON.parse(readFileSync(join(root, 'node_modules', '.shoal-setup.json'), 'utf8'));
    expect(known.path).toBe(join(root, 'bin', 'chrome'));
    utimesSync(known.path, new Date(1_000), new Date(1_000));
    setup();
    expect(log().filter((line) => line.startsWith('chrome'))).toHaveLength(2);
  });

  it('installs from a lock file that npm ci refuses, without rewriting it', () => {
    command(
      'npm',
      `echo "npm $1 $2" >> "$ROOT/log"
      if [ "$1" = ci ]; then echo "npm error code EUSAGE" >&2; exit 1; fi
      mkdir -p node_modules; echo {} > node_modules/.package-lock.json`,
    );
    expect(setup().status).toBe(0);
    expect(log().slice(0, 2)).toEqual(['npm ci --include=dev', 'npm install --no-save']);
  });

  it('says why npm failed and what to do', () => {
    command('npm', 'echo "npm http noise"; echo "npm error code ENOTFOUND" >&2; exit 1');
    const { status, stdout, stderr } = setup();
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('npm error code ENOTFOUND');
    expect(stderr).toContain('check the network');
    expect(stderr).not.toContain('noise');
  });

  it('names a CHROME_PATH that is no browser', () => {
    const { status, stderr } = setup({ CHROME_PATH: join(root, 'nowhere') });
    expect(status).toBe(1);
    expect(stderr).toContain(`CHROME_PATH is ${join(root, 'nowhere')}`);
  });
});

describe('without a browser', () => {
  /** What fetches, as a package that does `script` instead. */
  const browsers = (script: string) => {
    const name = 'node_modules/@puppeteer/browsers';
    write(`${name}/package.json`, '{"type": "module", "exports": "./main.js"}');
    write(
      `${name}/main.js`,
      `import { mkdirSync, writeFileSync } from 'node:fs';
       export const Browser = { CHROME: 'chrome' };
       export async function install(options) {
         ${script};
         const path = options.cacheDir + '/chrome/linux-148.0.1';
         mkdirSync(path, { recursive: true });
         return { path };
       }`,
    );
    write('node_modules/puppeteer-core/package.json', '{"type": "module"}');
    write(
      'node_modules/puppeteer-core/internal/revisions.js',
      "export const PUPPETEER_REVISIONS = { chrome: '148.0.1' };",
    );
  };
  const fetchWith = (find: string) =>
    spawnSync(
      process.execPath,
      [
        '-e',
        `import('./scripts/setup.mjs').then((m) => m.fetchBrowser(${find})).then((b) => console.log(b))`,
      ],
      {
        cwd: root,
        encoding: 'utf8',
        env: { ROOT: root, PATH: `${join(root, 'bin')}:/usr/bin:/bin`, HOME: root },
      },
    );

  it('fetches the one that puppeteer-core was made for, to where findChrome looks', () => {
    browsers('writeFileSync("fetched", JSON.stringify(options)); options.downloadProgressCallback(1, 100)');
    const { stdout, stderr } = fetchWith("() => ({ path: 'p', version: '1' })");
    expect(stdout).toContain("path: 'p'");
    expect(JSON.parse(readFileSync(join(root, 'fetched'), 'utf8'))).toEqual({
      browser: 'chrome',
      buildId: '148.0.1',
      cacheDir: expect.stringContaining(join(root, '.cache', 'puppeteer')),
    });
    expect(existsSync(join(root, '.cache', 'puppeteer', 'chrome', 'linux-148.0.1'))).toBe(true);
    expect(stderr).toMatch(/^Fetching Chrome …\nFetching Chrome: done in [\d.]+ s\n$/);
  });

  it('takes Chrome from a mirror, and gives up on one from which nothing comes', () => {
    browsers('writeFileSync("fetched", options.baseUrl); return new Promise(() => {})');
    const { stdout } = spawnSync(
      process.execPath,
      [
        '-e',
        `import('./scripts/fetch-chrome.mjs')
           .then((m) => m.fetchChrome(() => {}, { silenceMs: 50 }))
           .catch((error) => console.log(error.message))`,
      ],
      {
        cwd: root,
        encoding: 'utf8',
        env: { HOME: root, PUPPETEER_CHROME_DOWNLOAD_BASE_URL: 'https://mirror.example/chrome' },
      },
    );
    expect(stdout).toBe('nothing came for 0.05 s\n');
    expect(readFileSync(join(root, 'fetched'), 'utf8')).toBe('https://mirror.example/chrome');
  });

  it('goes on to the distribution’s package, and tells why each way failed', () => {
    browsers('throw new Error("getaddrinfo ENOTFOUND")');
    command('apt-get', 'echo "apt-get $1" >> "$ROOT/log"; echo "E: no such package" >&2; exit 100');
    const { stdout, stderr } = fetchWith('() => null');
    expect(stdout.trim()).toBe('null');
    expect(stderr).toContain('getaddrinfo ENOTFOUND');
    const hasApt = process.getuid?.() === 0 && existsSync('/etc/debian_version');
    expect(log()).toEqual(hasApt ? ['apt-get update'] : []);
    if (hasApt) expect(stderr).toContain('E: no such package');
  });
});

it('knows which Node versions will do', () => {
  const versions = ['18.20.0', '20.18.3', '20.19.0', '20.20.2', '22.1.0', '24.0.0'];
  expect(versions.map(nodeIsOldEnough)).toEqual([false, false, true, true, true, true]);
});

it('installs again when the lock file asks for something else than is there, however old either file is', () => {
  const lock = (path: string, packages: object) => write(path, JSON.stringify({ packages }));
  const there = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };
  const other = { 'node_modules/for-macos': { version: '2.0.0', optional: true } };
  expect(packagesAreStale(root)).toBe(true);
  lock('node_modules/.package-lock.json', there);
  lock('package-lock.json', { '': { name: 'shoal' }, ...there, ...other });
  utimesSync(join(root, 'node_modules/.package-lock.json'), 100, 100);
  expect(packagesAreStale(root)).toBe(false);
  for (const wanted of [
    { 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } },
    { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-b' } },
    { ...there, 'node_modules/b': { version: '1.0.0' } },
  ]) {
    lock('package-lock.json', wanted);
    utimesSync(join(root, 'package-lock.json'), 50, 50);
    expect(packagesAreStale(root)).toBe(true);
  }
});

it('builds the page again when a source is newer, and not for the server’s code', () => {
  write('dist/index.html', '');
  write('src/page/main.tsx', '');
  write('src/server/server.ts', '');
  const at = (seconds: number, ...paths: string[]) => {
    for (const path of paths) utimesSync(join(root, path), seconds, seconds);
  };
  at(100, 'package-lock.json', 'scripts/compress-page.mjs', 'src/page/main.tsx', 'src/page');
  at(200, 'dist/index.html');
  at(300, 'src/server/server.ts');
  expect(pageIsStale(root)).toBe(false);
  at(300, 'src/page/main.tsx');
  expect(pageIsStale(root)).toBe(true);
  at(400, 'dist/index.html');
  expect(pageIsStale(root)).toBe(false);
  // The page lends a backend with the proxies' code.
  write('src/backend/proxy.ts', '');
  at(500, 'src/backend/proxy.ts');
  expect(pageIsStale(root)).toBe(true);
});
