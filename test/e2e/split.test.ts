import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Shard } from '../../src/model/shard.ts';
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

/** Bytes of each of a shard's tensors. */
async function shardTensors(
  url: string,
  { start, end, embedding, head }: Shard,
): Promise<Map<string, number>> {
  const query = `start=${start}&end=${end}&embedding=${Number(embedding)}&head=${Number(head)}`;
  const response = await fetch(`${url}/models/minnow/manifest?${query}`);
  const { tensors } = (await response.json()) as { tensors: Record<string, { start: number; end: number }> };
  return new Map(Object.entries(tensors).map(([name, { start, end }]) => [name, end - start]));
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

describe.each([1, 2, 3, 5, 8])('%i tabs', (k) => {
  it('answer with the text that one tab gives', { timeout: 300_000 }, async () => {
    const run = await MeshRun.start(browser, k);
    try {
      const { pipeline, workers } = await run.server.status();
      expect(pipeline?.stages).toHaveLength(k);
      const texts: string[] = [];
      for (const body of [FACT, STORY, PENALIZED]) texts.push((await run.chat(body)).text);
      expect(texts[0]).toContain('Tokyo');
      answers.set(k, texts);
      expect(texts).toEqual(answers.get(1));

      const together = await Promise.all([STORY, FACT, PENALIZED].map((body) => run.chat(body)));
      expect(together.map(({ text }) => text)).toEqual([texts[1], texts[0], texts[2]]);

      const stages = await Promise.all(
        pipeline!.stages.map(async (stage) => ({
          ...stage,
          tensors: await shardTensors(run.server.url, stage.shard),
        })),
      );
      for (const { peer, name, tensors } of stages) {
        const reported = workers.find((worker) => worker.peer === peer)!.downloadedBytes;
        const counted = await modelBytes(run.tabs[Number(name.slice(4)) - 1]!);
        // The tied embedding is the first stage's and the last one's: the later may find it in the cache they share.
        const own = [...tensors].filter(
          ([tensor]) => !stages.some((other) => other.peer !== peer && other.tensors.has(tensor)),
        );
        for (const bytes of [reported, counted]) {
          expect(bytes).toBeGreaterThanOrEqual(sum(own.map(([, size]) => size)));
          expect(bytes).toBeLessThanOrEqual(sum(tensors.values()) * 1.02);
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
