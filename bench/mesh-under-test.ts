import { pino } from 'pino';
import { TabFleet } from '../src/cli/browser/tab-fleet.ts';
import { PAGE_FOLDER } from '../src/config/installation.ts';
import type { WireDtype } from '../src/gpu/stage-engine.ts';
import type { WorkerStatus } from '../src/mesh/protocol/status.ts';
import { openModelDirectory } from '../src/model/directory.ts';
import type { Quantization } from '../src/model/shard.ts';
import { type RunningServer, startServer } from '../src/server/server.ts';
import { deadline } from './deadline.ts';

const LIVE_DEADLINE_MS = 180_000;

export interface MeshSettings {
  readonly workers: number;
  readonly modelDirectory: string;
  readonly wire: WireDtype;
  readonly quantization: Quantization;
}

export interface Completion {
  readonly text: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** A server in this process and worker tabs in a headless browser, as `npm start` runs them. */
export class MeshUnderTest {
  /** Browser start to live pipeline: page, probe, download, upload, kernels, links. */
  readonly loadMs: number;
  readonly #server: RunningServer;
  readonly #fleet: TabFleet;

  private constructor(server: RunningServer, fleet: TabFleet, loadMs: number) {
    this.#server = server;
    this.#fleet = fleet;
    this.loadMs = loadMs;
  }

  /** @throws DEADLINE_EXCEEDED, and whatever keeps the server or the browser from starting */
  static async start(settings: MeshSettings): Promise<MeshUnderTest> {
    const server = await startServer({
      node: {
        kind: 'mesh',
        model: await openModelDirectory(settings.modelDirectory, { model: 'bench' }),
        expectWorkers: settings.workers,
        minStages: settings.workers,
        wire: settings.wire,
        quantization: settings.quantization,
      },
      port: 0,
      pageDirectory: PAGE_FOLDER,
      log: pino({ level: 'silent' }),
    });
    const live = new Promise<void>((resolve) => server.onPipelineLive(() => resolve()));
    const fleet = new TabFleet({
      serverUrl: server.url,
      tabs: settings.workers,
      namePrefix: 'tab',
      gpu: 'auto',
      headful: false,
      insecure: false,
      sandbox: true,
      onChange: () => {},
    });
    const startMs = performance.now();
    try {
      await fleet.start();
      await deadline(live, LIVE_DEADLINE_MS, `a pipeline of ${settings.workers}`);
    } catch (thrown) {
      await fleet.close();
      await server.close();
      throw thrown;
    }
    return new MeshUnderTest(server, fleet, performance.now() - startMs);
  }

  /** `prompt` ids or text, then exactly `tokens` tokens, greedily; times of the first and the last, ms after the request. */
  async complete(prompt: readonly number[] | string, tokens: number): Promise<Completion> {
    const startMs = performance.now();
    const response = await fetch(`${this.#server.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'bench',
        prompt,
        max_tokens: tokens,
        ignore_eos: true,
        temperature: 0,
        stream: false,
      }),
    });
    const answer = (await response.json()) as {
      choices?: [{ text: string }];
      usage?: { completion_tokens: number };
      shoal?: { time_to_first_token_ms: number };
      error?: { message: string };
    };
    if (answer.usage?.completion_tokens !== tokens || answer.shoal === undefined) {
      throw new Error(
        `asked for ${tokens} tokens, got ${answer.usage?.completion_tokens}: ${answer.error?.message}`,
      );
    }
    return {
      text: answer.choices?.[0].text ?? '',
      firstMs: answer.shoal.time_to_first_token_ms,
      lastMs: performance.now() - startMs,
    };
  }

  /** In pipeline order. */
  async stages(): Promise<WorkerStatus[]> {
    const status = await this.#server.status();
    const byPeer = new Map(status.workers.map((worker) => [worker.peer, worker]));
    return (status.pipeline?.stages ?? []).flatMap(({ peer }) => byPeer.get(peer) ?? []);
  }

  async close(): Promise<void> {
    await this.#fleet.close();
    await this.#server.close();
  }
}
