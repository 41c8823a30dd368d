/** Real tabs that stop, or die together, in mid-answer: the text is the undisturbed one, and no pause is a fixed wait. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { MeshRun } from '../support/mesh-run.ts';
import { processOf } from '../support/tab-process.ts';

const BODY = {
  messages: [{ role: 'user', content: 'Tell me a story about a fish.' }],
  max_tokens: 80,
  temperature: 0.8,
  seed: 11,
  ignore_eos: true,
};
/** Far more than a loss takes, less than the waits that were there for it once. */
const MAX_PAUSE_MS = 10_000;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());

/** The text, and the longest wait for a piece of it. */
async function answered(run: MeshRun, onPiece: (count: number) => void) {
  let heardAt = performance.now();
  let longestMs = 0;
  const text = await run.stream(BODY, (_piece, count) => {
    longestMs = Math.max(longestMs, performance.now() - heardAt);
    heardAt = performance.now();
    onPiece(count);
  });
  return { text, longestMs };
}

const routeOf = async (run: MeshRun): Promise<string[]> =>
  (await run.server.status()).routes?.[0]?.stages.map(({ name }) => name) ?? [];

it('a frozen tab is done without, gets no layers until it speaks, and then comes back', {
  timeout: 90_000,
}, async () => {
  const run = await MeshRun.start(browser, 3, { stages: 2 });
  const pids = new Map<string, number>();
  let frozen = '';
  try {
    for (const [index, page] of run.tabs.entries())
      pids.set(`tab-${index + 1}`, await processOf(browser, page));
    const calm = await answered(run, () => {});
    const { text, longestMs } = await answered(run, (count) => {
      if (count === 6) {
        void routeOf(run).then(([, last]) => {
          frozen = last!;
          process.kill(pids.get(frozen)!, 'SIGSTOP');
        });
      }
      if (count === 30) {
        // And one of the two that are left dies: the last one loads what it lacks.
        void routeOf(run).then((route) => {
          const victim = route.find((name) => name !== frozen)!;
          process.kill(pids.get(victim)!, 'SIGKILL');
        });
      }
    });
    expect(frozen).not.toBe('');
    expect(text).toBe(calm.text);
    expect(longestMs).toBeLessThan(MAX_PAUSE_MS);
    const { pipeline } = await run.server.status();
    expect(pipeline?.stages.map(({ name }) => name)).not.toContain(frozen);
    expect(pipeline?.stages).toHaveLength(1);
    process.kill(pids.get(frozen)!, 'SIGCONT');
    // It speaks, and is a stage or a copy again.
    await run.untilServing(2);
    expect((await answered(run, () => {})).text).toBe(calm.text);
    console.info(`longest pause with a frozen and a killed tab: ${Math.round(longestMs)} ms`);
  } finally {
    if (frozen !== '') process.kill(pids.get(frozen)!, 'SIGCONT');
    await Promise.race([run.close(), delay(5_000)]);
  }
});

it('all tabs of one browser that die at once are done without', { timeout: 90_000 }, async () => {
  const other = await launchChromium();
  const run = await MeshRun.start(browser, 4, { stages: 2, others: [other] });
  try {
    const calm = await answered(run, () => {});
    const { text, longestMs } = await answered(run, (count) => {
      if (count === 6) other.process()!.kill('SIGKILL');
    });
    expect(text).toBe(calm.text);
    expect(longestMs).toBeLessThan(MAX_PAUSE_MS);
    const { workers } = await run.server.status();
    expect(workers.map(({ name }) => name).toSorted()).toEqual(['tab-1', 'tab-3']);
    console.info(`longest pause with a killed browser: ${Math.round(longestMs)} ms`);
  } finally {
    await Promise.race([run.close(), delay(5_000)]);
    await other.close().catch(() => {});
  }
});
