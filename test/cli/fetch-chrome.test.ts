import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchChrome } from '../../scripts/fetch-chrome.mjs';
import { chromeCandidates, chromeVersion } from '../../scripts/find-chrome.mjs';

/** An archive as Chrome for Testing has them: chrome-linux64/chrome, a shell script that tells a version. */
const ARCHIVE = Buffer.from(
  'UEsDBBQAAAAAAAAAIVwh7XO/JgAAACYAAAAVAAAAY2hyb21lLWxpbnV4NjQvY2hyb21lIyEvYmluL3NoCmVjaG8gIkNocm9tZSAxNDguMC43Nzc4Ljk3IgpQSwECFAMUAAAAAAAAACFcIe1zvyYAAAAmAAAAFQAAAAAAAAAAAAAA7YEAAAAAY2hyb21lLWxpbnV4NjQvY2hyb21lUEsFBgAAAAABAAEAQwAAAFkAAAAAAA==',
  'base64',
);

let cache: string;
let mirror: Server | undefined;
const asked: string[] = [];

async function startMirror(answer: RequestListener): Promise<void> {
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  mirror = server;
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  vi.stubEnv('PUPPETEER_CHROME_DOWNLOAD_BASE_URL', `http://127.0.0.1:${port}/chrome`);
}

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'shoal-chrome-'));
  vi.stubEnv('PUPPETEER_CACHE_DIR', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  asked.length = 0;
  mirror?.closeAllConnections();
  mirror?.close();
  rmSync(cache, { recursive: true, force: true });
});

// The archive is that of one platform; puppeteer's own code finds those of others in the same way.
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('fetchChrome', () => {
  it('unpacks a Chrome where findChrome looks for it, and tells how far it is', async () => {
    await startMirror((_, response) => {
      response.setHeader('content-length', ARCHIVE.length);
      response.write(ARCHIVE.subarray(0, 100));
      setTimeout(() => response.end(ARCHIVE.subarray(100)), 50);
    });
    const told: string[] = [];
    await fetchChrome((detail) => told.push(detail));
    expect(asked[0]).toMatch(/^\/chrome\/[\d.]+\/linux64\/chrome-linux64\.zip$/);
    expect(told).toEqual(['56 % of 0 MB', 'unpacking']);
    const machine = { platform: 'linux', env: { PUPPETEER_CACHE_DIR: cache }, home: cache } as const;
    const found = chromeCandidates(machine).filter((path) => path.startsWith(cache));
    expect(found.map((path) => chromeVersion(path))).toContain('148.0.7778.97');
    expect(readdirSync(cache)).toEqual(['chrome']);
  });

  it('tells what the mirror answered', async () => {
    await startMirror((_, response) => void response.writeHead(404).end());
    await expect(fetchChrome(() => {})).rejects.toThrow(/^(?!All providers).*404/);
  });

  it('gives up on a mirror from which nothing more comes', async () => {
    await startMirror((_, response) => {
      response.setHeader('content-length', ARCHIVE.length);
      response.write(ARCHIVE.subarray(0, 100));
    });
    await expect(fetchChrome(() => {}, { silenceMs: 300 })).rejects.toThrow('nothing came for 0.3 s');
    expect(readdirSync(cache)).toEqual([]);
  });

  it('stops at once when it is told to', async () => {
    await startMirror((_, response) => response.write(ARCHIVE.subarray(0, 100)));
    const stop = new AbortController();
    const fetching = fetchChrome(() => {}, { signal: stop.signal });
    await expect.poll(() => asked.length).toBe(1);
    stop.abort(new Error('Ctrl-C'));
    await expect(fetching).rejects.toThrow('Ctrl-C');
  });

  it('takes away what a killed one has left, and not what a living one is at', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const pid of [dead, process.ppid]) mkdirSync(join(cache, `.shoal-fetch-${pid}`));
    await startMirror((_, response) => void response.writeHead(404).end());
    await expect(fetchChrome(() => {})).rejects.toThrow('404');
    expect(readdirSync(cache)).toEqual([`.shoal-fetch-${process.ppid}`]);
  });
});
