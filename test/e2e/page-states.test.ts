import { mkdirSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Status } from '../../src/mesh/protocol/status.ts';
import { meshStatus, OWN_NAME, type Scene } from '../fixtures/mesh-status.ts';
import { axeFaults } from '../support/axe.ts';
import { launchChromium } from '../support/chromium.ts';
import { OWN_PEER, ScriptedMesh } from '../support/scripted-mesh.ts';

/**
 * What the built page shows of each state of the mesh, before a server that is scripted. Every state is looked at on a desktop
 * and a phone, light and dark: nothing overflows, the message box is on the screen, axe-core has no complaint.
 * `SHOAL_SHOTS=folder` keeps a screenshot of each.
 */

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const SHOTS = process.env.SHOAL_SHOTS;
const SCREENS = {
  desktop: { width: 1280, height: 800 },
  // Not `isMobile`: switching that on loads the page anew.
  phone: { width: 360, height: 780, deviceScaleFactor: 2 },
} as const;

const NINE = Array.from({ length: 8 }, (_, i) => `tab-${i + 1}`);
const SIXTEEN = Array.from({ length: 15 }, (_, i) => `visitor ${100 + i}`);

let browser: Browser;
let mesh: ScriptedMesh;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  mesh = await ScriptedMesh.start(DIST, meshStatus({}));
});
afterEach(async () => {
  await page?.close();
  await mesh.close();
  expect(complaints.splice(0)).toEqual([]);
});

async function open(scene: Scene): Promise<void> {
  mesh.status = meshStatus(scene);
  page = await browser.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.setViewport(SCREENS.desktop);
  await page.goto(`${mesh.url}/?name=${encodeURIComponent(OWN_NAME)}`);
  await shows('Pipeline');
}

const text = () => page.evaluate(() => document.body.textContent);
const shows = (words: string) =>
  page.waitForFunction((w) => document.body.textContent.includes(w), { timeout: 30_000 }, words);
const press = async (name: string) =>
  (await page.waitForSelector(`::-p-aria(${name}[role="button"])`))!.click();

/** Joins, and waits until the server has welcomed the page. */
async function join(): Promise<void> {
  await press('Join');
  await shows('The others see you as');
}

async function ask(question: string): Promise<void> {
  await page.type('textarea', question);
  await page.keyboard.press('Enter');
}

/** The state as it is now, on every screen. */
async function looksRight(name: string): Promise<void> {
  for (const [screen, viewport] of Object.entries(SCREENS)) {
    await page.setViewport(viewport);
    for (const scheme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      if (SHOTS !== undefined) {
        mkdirSync(SHOTS, { recursive: true });
        await page.screenshot({
          path: joinPath(SHOTS, `${name}-${screen}-${scheme}.png`),
          fullPage: screen === 'phone',
        });
      }
      const seen = `${name}, ${screen}, ${scheme}`;
      expect(await axeFaults(page), seen).toEqual([]);
      expect(await overhang(), seen).toEqual([]);
      if (screen === 'desktop') expect(await isBoxOnScreen(), seen).toBe(true);
    }
  }
}

/** What reaches beyond the sides of the screen, or of the card that it is in. */
const overhang = () =>
  page.evaluate(() => {
    const found: string[] = [];
    for (const card of document.querySelectorAll('.card')) {
      const { left, right } = card.getBoundingClientRect();
      if (left < 0 || right > innerWidth + 0.5) found.push(card.className);
      for (const inside of card.querySelectorAll('.stage, .spares, .facts > *, .notice, button, textarea')) {
        const box = inside.getBoundingClientRect();
        if (box.left < left || box.right > right + 0.5)
          found.push(`${inside.className}: ${inside.textContent}`);
      }
    }
    return found;
  });

const isBoxOnScreen = () =>
  page.evaluate(() => {
    const boxes = [...document.querySelectorAll('.ask textarea, .ask button, h1')];
    return boxes.every((box) => {
      const { top, bottom } = box.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
  });

describe('before Join', () => {
  it('the page says what would be held, what it costs, and how to leave', async () => {
    await open({ stages: ['tab-1'] });
    await shows('about 8 of 16 layers');
    const words = await text();
    expect(words).toMatch(/Modelminnow/);
    expect(words).toMatch(/GPU memoryabout 13 MB/);
    expect(words).toMatch(/Downloadabout 6\.6 MB, once/);
    expect(words).toContain('battery and fans');
    expect(words).toMatch(/What others ask.*pass through this tab/);
    expect(words).toMatch(/Leave, or close the tab/);
    expect(page.workers()).toEqual([]);
    await looksRight('before-join');
  });

  it('and that all places are taken', async () => {
    await open({ stages: [...SIXTEEN, 'visitor 200'] });
    await shows('You would be a spare');
  });

  it('the code to join is not loaded', async () => {
    await open({});
    const loaded = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => name),
    );
    expect(loaded.filter((name) => /contributor-[\w-]+\.js|worker/.test(name))).toEqual([]);
  });
});

describe('after Join', () => {
  it('a spare is told so, why, and what would give it layers', async () => {
    await open({ stages: ['tab-1', 'tab-2', 'tab-3'] });
    await join();
    mesh.status = meshStatus({
      stages: ['tab-1', 'tab-2', 'tab-3'],
      spares: { you: { why: 'full', stages: 3 }, 'tab-9': { why: 'full', stages: 3 } },
    });
    await shows('You are a spare. The route is complete');
    await shows('it has 3 stages, as many as it may have');
    await shows('You get layers when one of its workers leaves.');
    await shows(`The others see you as ${OWN_NAME}`);
    await shows(`2 spares: ${OWN_NAME} (you) and tab-9`);
    expect(await page.$('.steps')).toBeNull();
    await looksRight('spare');
  });

  it('what the workers lack is named in megabytes', async () => {
    await open({});
    await join();
    mesh.status = meshStatus({ spares: { you: { why: 'missing', missingBytes: 12.3e6 } } });
    await shows('You have joined.');
    await shows('12 MB are missing');
    await looksRight('missing');
  });

  it('a load shows its bytes, and which layers are mine', async () => {
    await open({ stages: ['tab-1'] });
    await join();
    mesh.status = meshStatus({ stages: ['tab-1'], loading: ['tab-1', 'you'] });
    mesh.tell({
      type: 'hold',
      shard: 4,
      model: 'minnow',
      manifestPath: '/models/minnow/manifest',
      filesPath: '/models/minnow/',
      quantization: 'native',
      layers: { start: 8, end: 16, embedding: false, head: true },
    });
    await shows('1.2 MB of 4.1 MB');
    await shows('layers 8–15');
    await shows('The next pipeline loads: 0 of 2 workers ready');
    await looksRight('loading');
  });

  const row = (
    name: string,
    layers: [number, number],
    rest: Partial<NonNullable<Status['layers']>[number]> = {},
  ) => ({
    ...{ peer: name === 'you' ? OWN_PEER : `p-${name}`, name: name === 'you' ? OWN_NAME : name },
    ...{ layers, state: 'held' as const, sequences: 0, ...rest },
  });

  it('replicas are drawn beside the pipeline', async () => {
    await open({ stages: ['tab-1', 'tab-2'] });
    await join();
    const scene = meshStatus({ stages: ['tab-1', 'tab-2'], loading: [] });
    const layers = [
      row('tab-1', [0, 8], { sequences: 2 }),
      row('tab-2', [8, 16], { sequences: 2 }),
      row('you', [8, 16]),
    ];
    mesh.status = { ...scene, layers };
    await shows('Every layer is held once at least, some twice.');
    await shows('layers 0–7 · 2 answers');
    expect(await page.$$eval('.layers-held li:has(.you)', (rows) => rows.length)).toBe(1);
    await looksRight('replicas');
  });

  it('two stages with a replica each: one is away, one leaves, one loads, and a spare is told why', async () => {
    await open({ stages: ['tab-1', 'tab-2'] });
    await join();
    const scene = meshStatus({
      stages: ['tab-1', 'tab-2'],
      spares: { you: { why: 'no-gain' } },
    });
    const whole = [
      row('tab-1', [0, 8], { sequences: 3 }),
      row('tab-3', [0, 8], { sequences: 1 }),
      row('tab-2', [8, 16], { sequences: 1 }),
      row('tab-4', [8, 16], { sequences: 3 }),
    ];
    mesh.status = { ...scene, layers: whole };
    await shows('Every layer is held twice.');
    await shows('You are a spare.');
    await looksRight('two-by-two');
    mesh.status = {
      ...scene,
      layers: [
        whole[0]!,
        row('tab-3', [0, 8], { state: 'away', sequences: 1 }),
        whole[2]!,
        row('tab-4', [8, 16], { state: 'retiring', sequences: 3 }),
        row('a visitor with quite a long name', [4, 16], { state: 'loading' }),
      ],
    };
    await shows('Every layer is held once.');
    await shows('layers 0–7 · away · 1 answer');
    await shows('layers 8–15 · going · 3 answers');
    await shows('layers 4–15 · loads');
    await looksRight('away-and-going');
  });

  it('Leave lets answers finish, and a server that asks for a key is given one', async () => {
    mesh.joinKey = 'open sesame';
    await open({ stages: ['tab-1'] });
    await press('Join');
    await shows('takes workers with a join key only');
    await looksRight('join-key');
    await page.type('input[name="join-key"]', 'open sesame');
    await page.keyboard.press('Enter');
    await shows('The others see you as');
    await press('Leave');
    await shows('Nothing runs on your device until you press Join.');
  });

  it('my stage is marked, and nine workers leave the message box on the screen', async () => {
    await open({ stages: [...NINE] });
    await join();
    mesh.status = meshStatus({
      stages: [...NINE.slice(0, 7), 'you'],
      spares: { 'tab-8': { why: 'no-gain' } },
    });
    await page.waitForFunction(() => document.querySelectorAll('.stage .you').length === 1);
    expect(await page.$eval('.stage:has(.you)', (stage) => stage.textContent)).toContain(OWN_NAME);
    await looksRight('nine-workers');
  });

  it.each([1, 2, 3, 4, 5, 16])('%i stages are a drawing without a wrap', async (count) => {
    await open({ stages: [...SIXTEEN, 'visitor 200'].slice(0, count) });
    await page.waitForFunction((n) => document.querySelectorAll('.stage').length === n, {}, count);
    await looksRight(`stages-${count}`);
    await page.setViewport(SCREENS.desktop);
    // Either one row or one column.
    const [rows, columns] = await page.evaluate(() => {
      const boxes = [...document.querySelectorAll('.stage')].map((stage) => stage.getBoundingClientRect());
      return [new Set(boxes.map(({ top }) => top)).size, new Set(boxes.map(({ left }) => left)).size];
    });
    expect(Math.min(rows!, columns!)).toBe(1);
  });
});

describe('a worker that is lost in the middle of an answer', () => {
  const chunk = (content: string) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

  it('is named, with those it goes on with and how far they are; the answer’s end says it, too', async () => {
    await open({ stages: ['tab-1', 'tab-2', 'tab-3'] });
    const stages = [
      { peer: 'p-2', name: 'tab-2', layers: [0, 8] },
      { peer: 'p-3', name: 'tab-3', layers: [8, 16] },
    ];
    mesh.answer = {
      begin: [chunk('Once upon a time there was')],
      end: [
        chunk(' a shoal.'),
        {
          choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
          shoal: {
            stages,
            restarts: 1,
            losses: [{ worker: 'tab-1', how: 'left' }],
            time_to_first_token_ms: 80,
            tokens_per_second: 14.2,
          },
        },
      ],
    };
    await ask('Tell me a story.');
    await shows('Once upon a time');
    mesh.status = meshStatus({ loading: ['tab-2', 'tab-3'], lost: ['tab-1'] });
    await page.waitForSelector('.turn .recovery');
    expect(await page.$eval('.turn .recovery', (notice) => notice.textContent)).toBe(
      'tab-1 left, goes on with tab-2 and tab-3: loading 3.1 of 9.8 MB',
    );
    await looksRight('departure');
    mesh.status = meshStatus({ stages: ['tab-2', 'tab-3'], lost: ['tab-1'], step: 'resuming' });
    await shows('picking up where it was');
    mesh.finish();
    await shows('moved 1×: tab-1 left');
    // The answer goes on, though the status still tells of the loss.
    expect(await page.$('.turn .recovery')).toBeNull();
    mesh.status = meshStatus({ stages: ['tab-2', 'tab-3'] });
    await page.waitForFunction(() => document.querySelector('.recovery') === null);
    await looksRight('moved');
  });
});
