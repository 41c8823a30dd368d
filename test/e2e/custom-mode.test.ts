import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { pino } from 'pino';
import type { Browser, Page, Viewport } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashApiKey, newApiKey } from '../../src/server/access/api-key.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../src/server/server.ts';
import { launchChromium } from '../support/chromium.ts';

/** A page that lends an endpoint of its own machine; it has to be built (`npm test` does). */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const KEY = 'sk-only-for-the-endpoint';
const PATIENCE = { timeout: 30_000 };

let server: RunningServer;
let browser: Browser;
const endpoints: Endpoint[] = [];

const serverOptions = (): ServerOptions => ({
  node: { kind: 'proxy', provider: 'custom', open: () => [] },
  port: 0,
  pageDirectory: `${ROOT}dist`,
  log: pino({ level: 'silent' }),
});

beforeAll(async () => {
  server = await startServer(serverOptions());
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  for (const endpoint of endpoints) await endpoint.close();
});

/** The smallest OpenAI-compatible server, with CORS or without. */
class Endpoint {
  readonly received: { method: string; path: string; authorization: string | undefined }[] = [];
  hangUps = 0;
  readonly #allows: boolean;
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));

  constructor(allows: boolean) {
    this.#allows = allows;
    endpoints.push(this);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request;
    this.received.push({ method, path, authorization: headers.authorization });
    if (this.#allows && headers.origin !== undefined) {
      response.setHeader('access-control-allow-origin', headers.origin);
      response.setHeader('access-control-allow-headers', 'authorization, content-type');
    }
    if (method === 'OPTIONS') return void response.writeHead(204).end();
    if (path === '/v1/models') {
      const data = [{ id: 'tiny-chat', object: 'model', created: 1, owned_by: 'me' }];
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }));
    }
    if (method !== 'POST') return void response.writeHead(404).end();
    let text = '';
    for await (const chunk of request) text += chunk;
    const { messages } = JSON.parse(text) as { messages: { content: string }[] };
    response.setHeader('content-type', 'text/event-stream');
    response.on('close', () => {
      if (!response.writableFinished) this.hangUps += 1;
    });
    const send = (content: string, finish: string | null) => {
      const choices = [{ index: 0, delta: { content }, finish_reason: finish }];
      const event = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'tiny-chat', choices };
      response.write(`data: ${JSON.stringify(event)}\n\n`);
    };
    send('You said: ', null);
    if (messages[0]?.content === 'wait') return;
    send(messages[0]?.content ?? '', 'stop');
    response.end('data: [DONE]\n\n');
  }
}

const shows = (page: Page, words: string) =>
  page.waitForFunction((w) => document.body.textContent.includes(w), PATIENCE, words);
const button = (page: Page, name: string) => page.locator(`::-p-aria(${name}[role="button"])`);

async function openMode(
  viewport?: Viewport,
  url = server.url,
): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  if (viewport) await page.setViewport(viewport);
  await page.goto(url);
  // As a keyboard does it: the switch is one radio group.
  await page.focus('input[name="mode"][value="gpu"]');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('#field-provider');
  return { page, complaints };
}

async function check(page: Page, provider: string, url: string, key = ''): Promise<void> {
  await page.select('#field-provider', provider);
  await page.type('#field-url', url);
  if (key !== '') await page.type('#field-key', key);
  await button(page, 'Check').click();
}

describe('the page’s custom mode', () => {
  it('lends an endpoint that allows the page, passes hang-ups on, keeps its key to itself, and stops', async () => {
    const endpoint = new Endpoint(true);
    const url = await endpoint.listen();
    const { page, complaints } = await openMode();
    const seen: string[] = [];
    const session = await page.createCDPSession();
    await session.send('Network.enable');
    session.on('Network.webSocketFrameSent', ({ response }) => seen.push(response.payloadData));

    await check(page, 'custom', url, KEY);
    await shows(page, 'It serves tiny-chat.');
    await page.select('#field-model', 'tiny-chat');
    await page.type('#field-alias', 'pond');
    await button(page, 'Lend').click();
    await shows(page, 'Lending. Requests go to your endpoint');

    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['pond']);
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const stream = await client.chat.completions.create({ model: 'pond', messages, stream: true });
    let text = '';
    for await (const { choices, model } of stream) {
      expect(model).toBe('pond');
      text += choices[0]?.delta.content ?? '';
    }
    expect(text).toBe('You said: hello');
    expect(endpoint.received.at(-1)).toMatchObject({ method: 'POST', authorization: `Bearer ${KEY}` });

    await page.waitForSelector('.ask textarea[placeholder="Ask something…"]');
    await page.type('.ask textarea', 'good morning');
    await page.keyboard.press('Enter');
    await shows(page, 'You said: good morning');

    const waiting = await client.chat.completions.create({
      model: 'pond',
      messages: [{ role: 'user', content: 'wait' }],
      stream: true,
    });
    for await (const _chunk of waiting) break;
    await expect.poll(() => endpoint.hangUps, PATIENCE).toBe(1);
    await shows(page, 'Answered3');

    await button(page, 'Stop lending').click();
    await shows(page, 'answers for everyone here');
    await expect(client.models.list()).rejects.toMatchObject({ status: 503 });
    expect(seen.some((frame) => frame.includes('"offer"'))).toBe(true);
    expect(seen.join('\n')).not.toContain(KEY);
    expect(seen.join('\n')).not.toContain(new URL(url).host);
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    expect(stored).not.toContain(KEY);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('tells an endpoint that does not allow the page from one that is not there', async () => {
    const url = await new Endpoint(false).listen();
    const { page } = await openMode();
    await check(page, 'custom', url);
    await shows(page, `${url} answers, but does not allow this page (${server.url}) to read its answers`);
    await shows(page, `llama-server --cors-origins ${server.url}`);
    await page.close();

    const ollama = await openMode();
    await check(ollama.page, 'ollama', url);
    await shows(ollama.page, `OLLAMA_ORIGINS=${server.url} ollama serve`);
    await ollama.page.close();

    const gone = new Endpoint(true);
    const closed = await gone.listen();
    await gone.close();
    const nobody = await openMode();
    await check(nobody.page, 'vllm', closed);
    await shows(nobody.page, `Nothing answers at ${closed}. Is it running there?`);
    await nobody.page.close();
  });

  it('names what is wrong with the form, and reaches this device alone', async () => {
    const { page } = await openMode();
    await check(page, 'custom', 'http://192.0.2.7:8080');
    await shows(page, 'This page may reach localhost and 127.0.0.1 only, and 192.0.2.7 is neither.');
    await shows(page, `shoal worker --config model_backend.yaml --server ${server.url}`);
    const blocked = await page.evaluate(async () => {
      const violated = new Promise<string>((resolve) =>
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective)),
      );
      await fetch('http://192.0.2.7:8080').catch(() => {});
      return violated;
    });
    expect(blocked).toBe('connect-src');

    await page.select('#field-provider', 'custom');
    await button(page, 'Check').click();
    await shows(page, 'give its address, such as http://127.0.0.1:8080');
    expect(await page.$eval('#field-url', (input) => input.getAttribute('aria-invalid'))).toBe('true');
    await page.close();
  });

  it('asks for the server’s key where it has any', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-keys-'));
    const key = newApiKey();
    const stored = {
      name: 'lender',
      sha256: hashApiKey(key).toString('hex'),
      created: '2026-01-31T12:00:00Z',
      lend: true,
    };
    const keyFile = join(folder, 'api_keys.json');
    writeFileSync(keyFile, JSON.stringify({ version: 1, keys: [stored] }));
    const guarded = await startServer({ ...serverOptions(), access: { keyFile } });
    try {
      const url = await new Endpoint(true).listen();
      const { page } = await openMode(undefined, guarded.url);
      await check(page, 'custom', url);
      await shows(page, 'It serves tiny-chat.');
      await button(page, 'Lend').click();
      await shows(page, 'this server takes providers with one of its API keys only');
      await page.type('#field-server-key', key);
      await button(page, 'Lend').click();
      await shows(page, 'Lending. Requests go to your endpoint');
      await page.close();
    } finally {
      await guarded.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('fits a narrow phone', async () => {
    const { page } = await openMode({ width: 320, height: 740, isMobile: true, hasTouch: true });
    await check(page, 'ollama', 'http://127.0.0.1:1');
    await shows(page, 'Is it running there?');
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow).toBe(0);
    await page.close();
  });
});
