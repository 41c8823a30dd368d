import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { Browser, Page } from 'puppeteer-core';
import { openModelDirectory } from '../../src/model/directory.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIVE_MS = 150_000;

export interface ChatAnswer {
  readonly text: string;
  readonly completionTokens: number;
}

export interface MeshRunOptions {
  /** Of a route; default: all tabs are stages. */
  readonly stages?: number;
  /** More browsers, over which the tabs are spread in turn. */
  readonly others?: readonly Browser[];
}

/** A server in this process and tabs in a real browser, serving minnow. The page has to be built. */
export class MeshRun {
  readonly server: RunningServer;
  readonly tabs: readonly Page[];
  /** What pages and workers complained about. */
  readonly complaints: string[];

  private constructor(server: RunningServer, tabs: readonly Page[], complaints: string[]) {
    this.server = server;
    this.tabs = tabs;
    this.complaints = complaints;
  }

  /** Resolves when all `tabs` tabs serve: in one route, or in one of `stages` of them and as copies. */
  static async start(browser: Browser, tabs: number, options: MeshRunOptions = {}): Promise<MeshRun> {
    const { stages = tabs, others = [] } = options;
    const browsers = [browser, ...others];
    const server = await startServer({
      node: {
        kind: 'mesh',
        model: await openModelDirectory(`${ROOT}models/minnow`),
        expectWorkers: tabs,
        minStages: stages,
        ...(stages < tabs && { maxStages: stages, replicas: Math.ceil(tabs / stages) }),
      },
      port: 0,
      pageDirectory: `${ROOT}dist`,
      log: pino({ level: process.env.SHOAL_TEST_LOG ?? 'silent' }),
    });
    const complaints: string[] = [];
    const live = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no pipeline: ${complaints.join('; ')}`)), LIVE_MS);
      server.onPipelineLive((live) => {
        if (live.stages.length !== stages) return;
        clearTimeout(timer);
        resolve();
      });
    });
    const opened = Array.from({ length: tabs }, async (_, index) => {
      const page = await browsers[index % browsers.length]!.newPage();
      page.on('console', (message) => {
        if (['error', 'warn'].includes(message.type()))
          complaints.push(`tab-${index + 1}: ${message.text()}`);
      });
      page.on('pageerror', (error) => complaints.push(`tab-${index + 1}: ${error}`));
      await page.goto(`${server.url}/?auto=1&name=tab-${index + 1}&memory=1`);
      return page;
    });
    const run = new MeshRun(server, await Promise.all(opened), complaints);
    await live;
    await run.untilServing(tabs);
    return run;
  }

  /** Until so many workers hold layers. */
  async untilServing(workers: number): Promise<void> {
    const endsAt = performance.now() + LIVE_MS;
    for (;;) {
      const { workers: all, detail } = await this.server.status();
      if (all.filter(({ state }) => state === 'serving').length >= workers) return;
      if (performance.now() > endsAt) throw new Error(`no ${workers} workers serve: ${detail}`);
      await delay(100);
    }
  }

  async chat(body: Record<string, unknown>): Promise<ChatAnswer> {
    const response = await fetch(`${this.server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'minnow', ...body }),
    });
    const answer = (await response.json()) as {
      choices: [{ message: { content: string } }];
      usage: { completion_tokens: number };
    };
    if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(answer)}`);
    return { text: answer.choices[0].message.content, completionTokens: answer.usage.completion_tokens };
  }

  /** The same, streamed; `onPiece` hears every piece of text as it comes. */
  async stream(
    body: Record<string, unknown>,
    onPiece: (piece: string, count: number) => void,
  ): Promise<string> {
    const response = await fetch(`${this.server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'minnow', stream: true, ...body }),
    });
    const decoder = new TextDecoder();
    let [rest, text, count] = ['', '', 0];
    for await (const bytes of response.body!) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (!line.startsWith('data: {')) continue;
        const event = JSON.parse(line.slice(6)) as {
          error?: { message: string };
          choices?: { delta?: { content?: string } }[];
        };
        if (event.error) throw new Error(event.error.message);
        const piece = event.choices?.[0]?.delta?.content ?? '';
        text += piece;
        if (piece !== '') onPiece(piece, ++count);
      }
    }
    return text;
  }

  async close(): Promise<void> {
    // A tab whose browser was killed is closed already, and nobody answers for it.
    await Promise.all(this.tabs.map((tab) => (tab.isClosed() ? undefined : tab.close().catch(() => {}))));
    await this.server.close();
  }
}
