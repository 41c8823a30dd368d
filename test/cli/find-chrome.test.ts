import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chromeCandidates, dawnEnvironment, findChrome } from '../../scripts/find-chrome.mjs';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'shoal-find-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function executable(path: string, script: string): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, `#!/bin/sh\n${script}\n`);
  chmodSync(full, 0o755);
  return full;
}

const linux = (env: Record<string, string>) => ({
  platform: 'linux' as const,
  home: join(root, 'home'),
  env,
});

describe('findChrome', () => {
  it('takes CHROME_PATH and nothing else, even where it is wrong', () => {
    executable('bin/chromium', 'echo Chromium 1.2.3');
    const named = executable('mine', 'echo Chromium 150.0.1');
    const env = { PATH: join(root, 'bin') };
    expect(findChrome(linux({ ...env, CHROME_PATH: named }))).toEqual({ path: named, version: '150.0.1' });
    expect(findChrome(linux({ ...env, CHROME_PATH: join(root, 'missing') }))).toBeNull();
  });

  it('passes over what does not start', () => {
    executable('a/google-chrome', 'echo "error while loading shared libraries" >&2; exit 127');
    const good = executable('b/chromium', 'echo "Chromium 149.0.7827.53 built on Debian"');
    const found = findChrome(linux({ PATH: `${join(root, 'a')}:${join(root, 'b')}` }));
    expect(found).toEqual({ path: good, version: '149.0.7827.53' });
  });

  it('looks into puppeteer’s cache last, newest build first', () => {
    const cache = 'cache/chrome';
    executable(`${cache}/linux-99.0.1/chrome-linux64/chrome`, 'echo Chrome 99.0.1');
    const newest = executable(`${cache}/linux-141.0.1/chrome-linux64/chrome`, 'echo Chrome 141.0.1');
    const candidates = chromeCandidates(linux({ PATH: '', PUPPETEER_CACHE_DIR: join(root, 'cache') }));
    expect(candidates.filter((path) => path.startsWith(root))[0]).toBe(newest);
  });

  it('knows the usual places of macOS and Windows', () => {
    expect(chromeCandidates({ platform: 'darwin', home: '/Users/a', env: {} })).toContain(
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    );
    const windows = chromeCandidates({ platform: 'win32', home: 'C:\\a', env: { PROGRAMFILES: 'C:\\P' } });
    expect(windows.some((path) => path.startsWith('C:\\P') && path.endsWith('chrome.exe'))).toBe(true);
  });
});

describe('dawnEnvironment', () => {
  function driver(dir: string): string {
    const full = join(root, dir);
    mkdirSync(full, { recursive: true });
    writeFileSync(join(full, 'vk_swiftshader_icd.json'), '{}');
    writeFileSync(join(full, 'libvulkan.so.1'), '');
    return full;
  }

  it('finds the driver beside the binary that a symlink leads to', () => {
    const dir = driver('opt/chrome');
    const binary = executable('opt/chrome/chrome', 'true');
    symlinkSync(binary, join(root, 'google-chrome'));
    expect(dawnEnvironment(join(root, 'google-chrome'), linux({}))).toEqual({
      VK_ICD_FILENAMES: join(dir, 'vk_swiftshader_icd.json'),
      LD_LIBRARY_PATH: dir,
    });
  });

  it('keeps a driver that was chosen already, and needs none on macOS', () => {
    driver('opt');
    const chrome = executable('opt/chrome', 'true');
    expect(dawnEnvironment(chrome, linux({ VK_ICD_FILENAMES: '/mine.json' }))).toEqual({});
    expect(dawnEnvironment(chrome, { ...linux({}), platform: 'darwin' })).toEqual({});
  });

  it('appends to a library path that is there', () => {
    const dir = driver('opt');
    const chrome = executable('opt/chrome', 'true');
    expect(dawnEnvironment(chrome, linux({ LD_LIBRARY_PATH: '/lib' })).LD_LIBRARY_PATH).toBe(`${dir}:/lib`);
  });
});
