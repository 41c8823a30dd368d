/** What this machine has to offer: Node, a browser with an adapter, a port, a place for models, the built page. */
import { existsSync } from 'node:fs';
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { findChrome } from '../../../scripts/find-chrome.mjs';
import { MISSING_PAGE_REMEDY } from '../../config/installation.ts';
import { modelsFolder } from '../../config/model-folders.ts';
import { launchBrowser } from '../browser/launch.ts';
import { type ProbedAdapter, probeAdapter } from '../browser/probe-adapter.ts';
import { type Check, type Finding, failure, ok, warning } from './finding.ts';

/** With it an RTCDataChannel can be handed to a Web Worker; older ones relay through the page's main thread. */
const TRANSFERABLE_CHANNELS = 130;

export function nodeCheck(version: string, minimum: string): Check {
  const numbers = (text: string) => text.split('.').map(Number);
  return {
    name: 'Node',
    async run() {
      const [major = 0, minor = 0] = numbers(version);
      const [wantedMajor = 0, wantedMinor = 0] = numbers(minimum);
      const isNew = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
      return isNew ? ok(version) : failure(`${version} is too old`, `install Node ${minimum} or newer`);
    },
  };
}

export interface BrowserProbe {
  find(): { readonly path: string; readonly version: string } | null;
  adapter(signal: AbortSignal): Promise<ProbedAdapter | null>;
  /** CHROME_PATH, where it is set. */
  readonly named?: string | undefined;
}

/** @param isNeeded false where the node only forwards; its adapter is then not looked for, which takes seconds */
export function browserChecks(isNeeded: boolean, probe: BrowserProbe = systemBrowser): Check[] {
  const trouble = (detail: string, remedy: string): Finding =>
    isNeeded ? failure(detail, remedy) : warning(detail, `${remedy} (a proxy does without)`);
  const chrome = probe.find();
  const browser: Check = {
    name: 'browser',
    async run() {
      if (chrome === null && probe.named)
        return trouble(
          `CHROME_PATH is ${probe.named}, which is no Chrome or Chromium that starts`,
          'correct or unset it',
        );
      if (chrome === null)
        return warning(
          'none found: `shoal up` and `shoal worker` fetch one when they start, about 150 MB',
          'or install Google Chrome, or your system’s chromium package',
        );
      const found = `Chrome ${chrome.version} at ${chrome.path}`;
      return Number.parseInt(chrome.version, 10) < TRANSFERABLE_CHANNELS
        ? warning(
            `${found} is old`,
            `${TRANSFERABLE_CHANNELS} and newer keep tokens moving while a page is busy`,
          )
        : ok(found);
    },
  };
  if (chrome === null || !isNeeded) return [browser];
  const adapter: Check = {
    name: 'adapter',
    async run(signal) {
      const found = await probe.adapter(signal);
      if (found === null) {
        return trouble(
          'headless Chrome offers no WebGPU adapter',
          'install the GPU’s driver (on Linux: Vulkan), or try --gpu software',
        );
      }
      const { name, isSoftware, hasF16, maxBufferMib } = found;
      const detail = `${name}${isSoftware ? ', which is software' : ''}; ${hasF16 ? 'f16' : 'no f16'}, buffers to ${maxBufferMib} MiB`;
      return isSoftware
        ? warning(detail, 'small models run on it, slowly; a GPU and its driver make it fast')
        : ok(detail);
    },
  };
  return [browser, adapter];
}

const systemBrowser: BrowserProbe = {
  find: findChrome,
  named: process.env.CHROME_PATH,
  async adapter() {
    const browser = await launchBrowser({
      tabs: 1,
      gpu: 'auto',
      headful: false,
      insecure: false,
      sandbox: true,
    });
    try {
      return await probeAdapter(await browser.newPage());
    } finally {
      await browser.close();
    }
  },
};

/** @param whatRuns asks who answers there, once the port is taken */
export function portCheck(port: number, whatRuns: (signal: AbortSignal) => Promise<string | null>): Check {
  return {
    name: 'port',
    async run(signal) {
      const code = await listenError(port);
      if (code === null) return ok(`${port} is free`);
      if (code !== 'EADDRINUSE')
        return failure(`${port} cannot be listened on (${code})`, 'choose another with --port');
      const running = await whatRuns(signal);
      return running === null
        ? warning(`${port} is taken by another program`, 'serve takes a free one then, or the one of --port')
        : ok(`${port}: ${running}`);
    },
  };
}

function listenError(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}

export function folderCheck(env: NodeJS.ProcessEnv): Check {
  return {
    name: 'models',
    async run() {
      const folder = modelsFolder(env);
      try {
        await mkdir(folder, { recursive: true });
        await access(folder, constants.W_OK);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        return warning(
          `${folder} cannot be written (${code})`,
          '`shoal pull` needs it; name another with SHOAL_HOME',
        );
      }
      const { bavail, bsize } = await statfs(folder);
      return ok(`${folder}, ${((bavail * bsize) / 1e9).toFixed(0)} GB free`);
    },
  };
}

export function pageCheck(pageDirectory: string): Check {
  return {
    name: 'page',
    async run() {
      return existsSync(join(pageDirectory, 'index.html'))
        ? ok('built')
        : failure(`${pageDirectory} has no page`, MISSING_PAGE_REMEDY);
    },
  };
}
