import { type Browser, launch } from 'puppeteer-core';
import { findChrome, NO_BROWSER_SENTENCE } from '../../scripts/find-chrome.mjs';

/** Headless, with WebGPU (SwiftShader where there is no GPU), and quiet: no calls to its maker. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
];

/** The caller closes the browser. @throws when no Chromium is found */
export async function launchChromium(extraFlags: readonly string[] = []): Promise<Browser> {
  const chrome = findChrome();
  if (chrome === null) throw new Error(NO_BROWSER_SENTENCE);
  return await launch({
    headless: true,
    args: [...CHROMIUM_FLAGS, ...extraFlags],
    executablePath: chrome.path,
  });
}
