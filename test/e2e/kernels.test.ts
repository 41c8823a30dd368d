import { fileURLToPath } from 'node:url';
import type { Browser } from 'puppeteer-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PARITY_CASES } from '../gpu/parity-cases.ts';
import type { ParityReport } from '../gpu/parity-worker.ts';
import { launchChromium } from '../support/chromium.ts';

/** The parity table of test/gpu in Chromium's own Dawn, inside a Web Worker, with shaders fetched as the page does. */

let server: ViteDevServer;
let browser: Browser;

beforeAll(async () => {
  server = await createServer({
    configFile: false,
    root: fileURLToPath(new URL('../..', import.meta.url)),
    cacheDir: 'node_modules/.vite-kernels',
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1', hmr: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  await server.listen();
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

it('every kernel agrees with its CPU twin in Chromium', async () => {
  const page = await browser.newPage();
  const origin = server.resolvedUrls!.local[0]!;
  await page.goto(`${origin}shaders/step.wgsl`);
  const report = (await page.evaluate(
    (url: string) =>
      new Promise((resolve) => {
        const worker = new Worker(url, { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => resolve({ failure: `the worker failed: ${event.message}` });
      }),
    `${origin}test/gpu/parity-worker.ts?worker_file&type=module`,
  )) as ParityReport;
  if ('failure' in report) throw new Error(report.failure);
  expect(report.lines.map(({ name }) => name)).toEqual(PARITY_CASES.map(({ name }) => name));
  const wrong = report.lines.filter(({ error, tolerance }) => error === null || error > tolerance);
  expect(wrong).toEqual([]);
  expect(report.liveBuffers).toBe(0);
  expect(report.adapter).not.toBe(' ');
});
