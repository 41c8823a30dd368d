import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { runShoal, type ShoalRun } from '../test/support/run-shoal.ts';

/** `shoal serve` in a process of its own, that is killed and started again on the same port with the same state. */
export class ChaosServer {
  readonly url: string;
  readonly #args: readonly string[];
  #run: ShoalRun;

  private constructor(port: number, args: readonly string[]) {
    this.url = `http://127.0.0.1:${port}`;
    this.#args = ['serve', '--port', String(port), ...args];
    this.#run = this.#spawn();
  }

  static async start(port: number, args: readonly string[]): Promise<ChaosServer> {
    const server = new ChaosServer(port, args);
    await server.#untilUp();
    return server;
  }

  /** SIGKILL, a while without a server, and a new one. */
  async restart(awayMs: number): Promise<void> {
    this.#run.child.kill('SIGKILL');
    await this.#run.ended;
    await delay(awayMs);
    this.#run = this.#spawn();
    await this.#untilUp();
  }

  async status<T>(): Promise<T> {
    return (await (await fetch(`${this.url}/api/status`)).json()) as T;
  }

  /** Lines of `/metrics` whose names begin so. */
  async metrics(prefix: string): Promise<string[]> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith(prefix));
  }

  async close(): Promise<void> {
    this.#run.child.kill('SIGTERM');
    await Promise.race([once(this.#run.child, 'close'), delay(15_000)]);
  }

  #spawn(): ShoalRun {
    return runShoal(this.#args, undefined, { SHOAL_LOG_LEVEL: process.env.SHOAL_LOG_LEVEL ?? 'warn' });
  }

  async #untilUp(): Promise<void> {
    const endsAt = performance.now() + 60_000;
    while (performance.now() < endsAt) {
      if (
        await fetch(`${this.url}/health/live`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return;
      await delay(50);
    }
    throw new Error(`no server at ${this.url} in 60 s: ${this.#run.output.stderr.slice(-2_000)}`);
  }

  get stderr(): string {
    return this.#run.output.stderr;
  }
}
