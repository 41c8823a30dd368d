import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import puppeteer, { type Browser, type LaunchOptions } from 'puppeteer-core';
import { ShoalError } from '../../config/errors.ts';
import { BROWSER_START_MS, FAILED_START_MS } from '../../config/limits.ts';
import { createProfile } from './browser-profile.ts';
import {
  type Attempt,
  asUser,
  attempts,
  type BrowserUser,
  deviceGroups,
  withoutSecrets,
} from './browser-user.ts';
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
  /** False starts Chrome's renderers without their sandbox. */
  readonly sandbox: boolean;
  /** Hears what a person should know of how Chrome runs, such as a sandbox that is missing. */
  readonly onNotice?: (notice: string) => void;
}

/**
 * Starts one Chrome, which is fetched where there is none. Over a pipe, not a port: a browser whose parent died, however it
 * died, sees the pipe close and exits.
 * @param signal ends a download
 * @throws NO_BROWSER with the remedy; ABORTED
 */
export async function launchBrowser(options: BrowserOptions, signal?: AbortSignal): Promise<Browser> {
  const chrome = await provideChrome(signal);
  const gpu = options.gpu === 'auto' ? await bestGpu(chrome.path, options) : options.gpu;
  return start(chrome.path, { ...options, gpu });
}

type SettledOptions = BrowserOptions & { readonly gpu: Exclude<GpuMode, 'auto'> };

/** Starts it in the best way that works here (browser-user.ts). */
async function start(executablePath: string, options: SettledOptions): Promise<Browser> {
  const machine = {
    platform: process.platform,
    env: process.env,
    userId: process.getuid?.(),
    headful: options.headful,
  };
  let failure: unknown;
  const ways = attempts(machine, options.sandbox, deviceGroups(gpuDevices()));
  for (const attempt of ways) {
    try {
      const browser = await startAs(executablePath, options, attempt);
      if (attempt.notice !== null) options.onNotice?.(attempt.notice);
      return browser;
    } catch (error) {
      failure = error;
    }
  }
  if (failure instanceof ShoalError) throw failure;
  throw notStarted(executablePath, failure, await lastWords(executablePath, ways.at(-1)!.sandbox));
}

async function startAs(
  chrome: string,
  options: SettledOptions,
  { user, sandbox }: Attempt,
): Promise<Browser> {
  const profile = createProfile(user);
  try {
    const settings: LaunchOptions = {
      userDataDir: profile.folder,
      headless: !options.headful,
      args: chromeArguments({ ...options, sandbox, platform: process.platform }),
    };
    const browser = await puppeteer.launch({
      ...settings,
      ...(user === null ? { executablePath: chrome } : startedAs(user, chrome, settings)),
      env: {
        ...(user === null ? process.env : withoutSecrets(process.env)),
        TMPDIR: profile.temporary,
        // Not root's home, which nobody else may read.
        ...(user !== null && { HOME: profile.folder }),
      },
      pipe: true,
      timeout: BROWSER_START_MS,
      defaultViewport: null,
      // The command line closes it; a second handler would race.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
    });
    // After Chrome's main process; before whoever closes it goes on.
    browser.process()?.once('exit', () => profile.remove());
    return browser;
  } catch (error) {
    profile.remove();
    throw error;
  }
}

/** No script in a file: in the profile, which is the user's, the user could put another in its place for root to run. */
function startedAs(user: BrowserUser, chrome: string, settings: LaunchOptions): LaunchOptions {
  const [shell, ...args] = asUser(user, [chrome, ...puppeteer.defaultArgs(settings)]);
  return { executablePath: shell!, args, ignoreDefaultArgs: true };
}

/** Over a pipe puppeteer hears nothing of why Chrome ends; Chrome says it, where it can, on stderr. */
async function lastWords(executablePath: string, sandbox: boolean): Promise<string> {
  const profile = createProfile(null);
  const args = ['--headless=new', `--user-data-dir=${profile.folder}`, '--dump-dom', 'about:blank'];
  try {
    await promisify(execFile)(executablePath, sandbox ? args : ['--no-sandbox', ...args], {
      timeout: FAILED_START_MS,
      env: { ...process.env, TMPDIR: profile.temporary },
    });
    return '';
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    // Each line begins with process, time and place.
    return /:FATAL:[^\]]*\] *(.*)/.exec(stderr ?? '')?.[1] ?? '';
  } finally {
    profile.remove();
  }
}

function notStarted(executablePath: string, error: unknown, said: string): ShoalError {
  const reason = said || (error instanceof Error ? error.message : String(error));
  const remedy = /sandbox/i.test(reason)
    ? 'its sandbox is not available here (a container, or AppArmor): docs/deploy.md says what allows it; or run with --no-sandbox if you trust the server'
    : 'check that it starts by hand, or name another with CHROME_PATH';
  return new ShoalError('NO_BROWSER', `${executablePath} did not start: ${firstLines(reason)}; ${remedy}`, {
    cause: error,
  });
}

const firstLines = (text: string) => text.split('\n').slice(0, 6).join(' ').slice(0, 600);

/**
 * Linux needs flags for a real GPU, and with them a machine without one may offer no adapter at all: try, and look.
 * macOS and Windows choose by themselves.
 */
async function bestGpu(executablePath: string, options: BrowserOptions): Promise<'vulkan' | 'software'> {
  if (process.platform !== 'linux' || gpuDevices().length === 0) return 'software';
  let browser: Browser | undefined;
  try {
    // What is to be told is told when the browser proper starts.
    const { onNotice: _, ...quiet } = options;
    browser = await start(executablePath, { ...quiet, gpu: 'vulkan' });
    const adapter = await probeAdapter(await browser.newPage());
    return adapter !== null && !adapter.isSoftware ? 'vulkan' : 'software';
  } catch {
    return 'software';
  } finally {
    await browser?.close();
  }
}

/** Device files of GPUs on Linux. */
function gpuDevices(): string[] {
  const dri = existsSync('/dev/dri')
    ? readdirSync('/dev/dri').filter((name) => name.startsWith('renderD'))
    : [];
  const nvidia = existsSync('/dev/nvidia0') ? ['/dev/nvidia0'] : [];
  return [...nvidia, ...dri.map((name) => join('/dev/dri', name))];
}
