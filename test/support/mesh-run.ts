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

  /** Resolves when all `tabs` tabs serve in one pipeline. */
  static async start(browser: Browser, tabs: number): Promise<MeshRun> {
    const server = await startServer({
      node: {
        kind: 'mesh',
        model: await openModelDirectory(`${ROOT}models/minnow`),
        expectWorkers: tabs,
        minStages: tabs,
      },
      port: 0,
      pageDirectory: `${ROOT}dist`,
      log: pino({ level: process.env.SHOAL_TEST_LOG ?? 'silent' }),
    });
    const complaints: string[] = [];
    const live = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no pipeline: ${complaints.join('; ')}`)), LIVE_MS);
      server.onPipelineLive(({ stages }) => {
        if (stages.length !== tabs) return;
        clearTimeout(timer);
        resolve();
      });
    });
    const opened = Array.from({ length: tabs }, async (_, index) => {
      const page = await browser.newPage();
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
    return run;
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
    await Promise.all(this.tabs.map((tab) => (tab.isClosed() ? undefined : tab.close())));
    await this.server.close();
  }
}
