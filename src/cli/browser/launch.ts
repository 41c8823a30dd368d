import { existsSync, readdirSync } from 'node:fs';
import puppeteer, { type Browser } from 'puppeteer-core';
import { ShoalError } from '../../config/errors.ts';
import { BROWSER_START_MS } from '../../config/limits.ts';
import { chromeArguments, type GpuMode } from './chrome-arguments.ts';
import { probeAdapter } from './probe-adapter.ts';
import { provideChrome } from './provide-chrome.ts';

export interface BrowserOptions {
  readonly tabs: number;
  readonly gpu: GpuMode;
  readonly headful: boolean;
  /** Takes any TLS certificate of the server. */
  readonly insecure: boolean;
  /** As in ChromeArguments. */
  readonly trustedKey?: string;
  /** False starts Chrome's renderers without their sandbox; root never has it. */
  readonly sandbox: boolean;
}

/**
 * Starts one Chrome, which is fetched where there is none. Over a pipe, not a port: a browser whose parent died, however it died, sees the pipe close and exits.
 * @throws NO_BROWSER with the remedy
 */
export async function launchBrowser(options: BrowserOptions): Promise<Browser> {
  const chrome = await provideChrome();
  const gpu = options.gpu === 'auto' ? await bestGpu(chrome.path, options) : options.gpu;
  return start(chrome.path, { ...options, gpu });
}

type SettledOptions = BrowserOptions & { readonly gpu: Exclude<GpuMode, 'auto'> };

async function start(executablePath: string, options: SettledOptions): Promise<Browser> {
  try {
    return await puppeteer.launch({
      executablePath,
      headless: !options.headful,
      args: chromeArguments({
        ...options,
        sandbox: options.sandbox && process.getuid?.() !== 0,
        platform: process.platform,
      }),
      pipe: true,
      timeout: BROWSER_START_MS,
      defaultViewport: null,
      // The command line closes it; a second handler would race.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = /sandbox/i.test(reason)
      ? 'its sandbox is not available here (a container, or AppArmor); run with --no-sandbox if you trust the server'
      : 'check that it starts by hand, or name another with CHROME_PATH';
    throw new ShoalError('NO_BROWSER', `${executablePath} did not start: ${firstLines(reason)}; ${remedy}`, {
      cause: error,
    });
  }
}

const firstLines = (text: string) => text.split('\n').slice(0, 6).join(' ').slice(0, 600);

/**
 * Linux needs flags for a real GPU, and with them a machine without one may offer no adapter at all: try, and look.
 * macOS and Windows choose by themselves.
 */
async function bestGpu(executablePath: string, options: BrowserOptions): Promise<'vulkan' | 'software'> {
  if (process.platform !== 'linux' || !hasGpuDevice()) return 'software';
  let browser: Browser | undefined;
  try {
    browser = await start(executablePath, { ...options, gpu: 'vulkan' });
    const adapter = await probeAdapter(await browser.newPage());
    return adapter !== null && !adapter.isSoftware ? 'vulkan' : 'software';
  } catch {
    return 'software';
  } finally {
    await browser?.close();
  }
}

function hasGpuDevice(): boolean {
  if (existsSync('/dev/nvidia0')) return true;
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}
