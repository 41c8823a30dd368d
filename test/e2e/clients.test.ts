import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { startFakeOllama } from '../support/fake-ollama.ts';
import { FakeVllm } from '../support/fake-vllm.ts';
import { openGateway } from '../support/gateway.ts';
import { MeshRun } from '../support/mesh-run.ts';
import { aiSdkSuite } from './clients/ai-sdk-suite.ts';
import { ollamaSuite } from './clients/ollama-suite.ts';
import { openAiSuite } from './clients/openai-suite.ts';
import type { Target } from './clients/target.ts';

/**
 * One suite by each official client against the gateway in front of each kind of backend. tools/backends runs it against
 * the real llama.cpp, vLLM and Ollama by naming them: SHOAL_LLAMA_CPP_URL, SHOAL_VLLM_URL, SHOAL_OLLAMA_URL.
 */

let browser: Browser;
let mesh: MeshRun;

beforeAll(async () => {
  browser = await launchChromium();
  mesh = await MeshRun.start(browser, 2);
});
afterAll(async () => {
  await mesh?.close();
  await browser?.close();
  // No client's request, right or wrong, made a page or a worker complain.
  expect(mesh?.complaints).toEqual([]);
});

const meshBusy = async () => (await mesh.server.status()).requestsInFlight;

/** A gateway whose requests go to `url`. */
async function proxied(
  provider: string,
  url: string,
  model: string,
  rest: Omit<Target, 'url' | 'model' | 'close'>,
  closeBackend: () => Promise<void> = async () => {},
): Promise<Target> {
  const gateway = await openGateway(`backend_provider: ${provider}\nurl: ${url}\n`);
  return {
    ...rest,
    url: gateway.url,
    model,
    async close() {
      await gateway.close();
      await closeBackend();
    },
  };
}

const TARGETS: Record<string, () => Promise<Target>> = {
  'the mesh': async () => ({
    url: mesh.server.url,
    model: 'minnow',
    busy: meshBusy,
    close: async () => {},
  }),
  'custom: another Shoal': () => proxied('custom', mesh.server.url, 'minnow', { busy: meshBusy }),
  async vllm() {
    const fake = await FakeVllm.start();
    return proxied('vllm', fake.url, 'toy', { busy: async () => fake.running }, () => fake.close());
  },
  async ollama() {
    const fake = await startFakeOllama();
    return proxied('ollama', fake.url, 'llama3.2', { busy: async () => fake.running }, fake.close);
  },
};

const { SHOAL_LLAMA_CPP_URL, SHOAL_VLLM_URL, SHOAL_OLLAMA_URL } = process.env;
if (SHOAL_LLAMA_CPP_URL) {
  TARGETS['custom: llama.cpp'] = () =>
    proxied('custom', SHOAL_LLAMA_CPP_URL, 'minnow', {
      busy: async () => null,
      lacks: { temperatureBound: true, modelNames: true },
    });
}
if (SHOAL_VLLM_URL) {
  TARGETS['vllm: the real one'] = () =>
    proxied('vllm', SHOAL_VLLM_URL, 'minnow', { busy: () => vllmRunning(SHOAL_VLLM_URL) });
}
if (SHOAL_OLLAMA_URL) {
  TARGETS['ollama: the real one'] = () =>
    proxied('ollama', SHOAL_OLLAMA_URL, process.env.SHOAL_OLLAMA_MODEL ?? 'minnow', {
      busy: async () => null,
    });
}

async function vllmRunning(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^vllm:num_requests_running\{.*\} ([\d.]+)$/m.exec(metrics)?.[1]);
}

for (const [name, open] of Object.entries(TARGETS)) {
  describe(name, () => {
    let target: Target;
    beforeAll(async () => {
      target = await open();
    });
    afterAll(() => target?.close());
    describe('openai', () => openAiSuite(() => target));
    describe('ollama', () => ollamaSuite(() => target));
    describe('Vercel AI SDK', () => aiSdkSuite(() => target));
  });
}
