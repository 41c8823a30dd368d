import type { Browser, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { MeshRun } from '../support/mesh-run.ts';

/** minnow over real tabs, workers, WebGPU, WebRTC and a real server; the page has to be built (`npm test` does). */

const FACT = { messages: [{ role: 'user', content: 'What is the capital of Japan?' }], temperature: 0 };
const STORY = {
  messages: [{ role: 'user', content: 'Tell me a short story about a fox.' }],
  temperature: 0.8,
  seed: 7,
  max_tokens: 60,
};
const PENALIZED = { ...STORY, frequency_penalty: 0.6, presence_penalty: 0.3, seed: 11 };

let browser: Browser;
const answers = new Map<number, string[]>();

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Body bytes that the tab's Web Worker took from below `/models/`, as the browser counted them. */
async function modelBytes(tab: Page): Promise<number> {
  const counts = await Promise.all(
    tab.workers().map((worker) =>
      worker.evaluate(() =>
        performance
          .getEntriesByType('resource')
          .filter(({ name }) => name.includes('.safetensors'))
          .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0),
      ),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function shardBytes(url: string, start: number, end: number, layers: number): Promise<number> {
  const flag = (on: boolean) => (on ? 1 : 0);
  const query = `start=${start}&end=${end}&embedding=${flag(start === 0)}&head=${flag(end === layers)}`;
  const response = await fetch(`${url}/models/minnow/manifest?${query}`);
  const { tensors } = (await response.json()) as { tensors: Record<string, { start: number; end: number }> };
  return Object.values(tensors).reduce((sum, tensor) => sum + tensor.end - tensor.start, 0);
}

describe.each([1, 2, 3, 5, 8])('%i tabs', (k) => {
  it('answer with the text that one tab gives', { timeout: 300_000 }, async () => {
    const run = await MeshRun.start(browser, k);
    try {
      const { pipeline, model, workers } = await run.server.status();
      expect(pipeline?.stages).toHaveLength(k);
      const texts: string[] = [];
      for (const body of [FACT, STORY, PENALIZED]) texts.push((await run.chat(body)).text);
      expect(texts[0]).toContain('Tokyo');
      answers.set(k, texts);
      expect(texts).toEqual(answers.get(1));

      const together = await Promise.all([STORY, FACT, PENALIZED].map((body) => run.chat(body)));
      expect(together.map(({ text }) => text)).toEqual([texts[1], texts[0], texts[2]]);

      for (const stage of pipeline!.stages) {
        const { start, end } = stage.shard;
        const expected = await shardBytes(run.server.url, start, end, model!.layers);
        const reported = workers.find(({ peer }) => peer === stage.peer)!.downloadedBytes;
        const counted = await modelBytes(run.tabs[Number(stage.name.slice(4)) - 1]!);
        for (const bytes of [reported, counted]) {
          expect(bytes).toBeGreaterThanOrEqual(expected);
          expect(bytes).toBeLessThanOrEqual(expected * 1.02);
        }
      }
      expect(run.complaints).toEqual([]);
    } finally {
      await run.close();
    }
  });
});

const close = (tab: Page): Promise<void> => tab.close();

/** Without a goodbye: its renderer dies. */
async function crash(tab: Page): Promise<void> {
  const session = await tab.createCDPSession();
  // Never answered: there is nobody left to do so.
  session.send('Page.crash').catch(() => {});
}

it.each([
  ['the first tab closed', 0, close],
  ['the middle tab crashed', 1, crash],
  ['the last tab closed', 2, close],
])('%s in mid-answer changes nothing of the text', { timeout: 300_000 }, async (_name, index, end) => {
  const run = await MeshRun.start(browser, 3);
  try {
    const body = { ...PENALIZED, max_tokens: 90 };
    const whole = (await run.chat(body)).text;
    const { pipeline } = await run.server.status();
    const victim = run.tabs[Number(pipeline!.stages[index]!.name.slice(4)) - 1]!;
    let killedAt = 0;
    const text = await run.stream(body, (_piece, count) => {
      if (count !== 6) return;
      killedAt = count;
      void end(victim);
    });
    expect(killedAt).toBe(6);
    expect(text).toBe(whole);
    const after = await run.server.status();
    expect(after.pipeline?.stages).toHaveLength(2);
  } finally {
    await run.close();
  }
});
