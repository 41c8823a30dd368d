import { readFile } from 'node:fs/promises';
import OpenAI from 'openai';
import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { openGateway } from '../support/gateway.ts';
import { MeshRun } from '../support/mesh-run.ts';

/**
 * Ten greedy texts of minnow: what llama.cpp wrote (recorded by tools/backends) is what the mesh writes. Servers that run,
 * named by SHOAL_LLAMA_CPP_URL and SHOAL_VLLM_URL, are asked through the gateway, too.
 */

interface Recorded {
  readonly maxTokens: number;
  readonly answers: readonly {
    readonly chat?: string;
    readonly raw?: string;
    readonly text: string;
    readonly finish: string;
  }[];
}

const FIXTURE = new URL('../fixtures/minnow/llama-cpp.json', import.meta.url);
const { maxTokens, answers } = JSON.parse(await readFile(FIXTURE, 'utf8')) as Recorded;

function comparesTo(server: () => string): void {
  for (const { chat, raw, text, finish } of answers) {
    it(chat ?? `${raw}…`, async () => {
      const client = new OpenAI({ baseURL: `${server()}/v1`, apiKey: 'unused', maxRetries: 0 });
      const greedy = { model: 'minnow', temperature: 0, max_tokens: maxTokens };
      if (chat === undefined) {
        const [choice] = (await client.completions.create({ ...greedy, prompt: raw! })).choices;
        expect(choice).toMatchObject({ text, finish_reason: finish });
      } else {
        const messages = [{ role: 'user' as const, content: chat }];
        const [choice] = (await client.chat.completions.create({ ...greedy, messages })).choices;
        expect(choice).toMatchObject({ message: { content: text }, finish_reason: finish });
      }
    });
  }
}

describe('the mesh, on two tabs, writes what llama.cpp wrote', () => {
  let browser: Browser;
  let mesh: MeshRun;
  beforeAll(async () => {
    browser = await launchChromium();
    mesh = await MeshRun.start(browser, 2);
  });
  afterAll(async () => {
    await mesh?.close();
    await browser?.close();
  });
  comparesTo(() => mesh.server.url);
});

for (const [provider, url] of [
  ['custom', process.env.SHOAL_LLAMA_CPP_URL],
  ['vllm', process.env.SHOAL_VLLM_URL],
]) {
  if (!url) continue;
  describe(`${provider}, in front of the real server, writes it too`, () => {
    let gateway: Awaited<ReturnType<typeof openGateway>>;
    beforeAll(async () => {
      gateway = await openGateway(`backend_provider: ${provider}\nurl: ${url}\n`);
    });
    afterAll(() => gateway?.close());
    comparesTo(() => gateway.url);
  });
}
