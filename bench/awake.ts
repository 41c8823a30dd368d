/**
 * `npm run bench:awake`: whether the server stays awake while clients try their worst: how long `GET /health/live` takes
 * during each attack, how late the server's own loop is, and why; and how evenly an honest client's tokens come among 64
 * hostile ones. With `--before DIR` also of another checkout, in the same run.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, get, request } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { ATTACKS } from './awake-attacks.ts';
import type { Orders, Outcome } from './awake-clients.ts';
import { benchModel } from './awake-model.ts';
import { type Lateness, watchLoop } from './loop-watch.mjs';

const flags = new Command('bench:awake')
  .option('--before <dir>', 'a checkout to compare with, its packages installed')
  .option('--seconds <n>', 'of each attack', '4')
  .option('--load-seconds <n>', 'of the load test, and of the honest client alone', '30')
  .option('--clients <n>', 'hostile ones of the load test', '64')
  .option('--only <text>', 'the attacks that have this in their names')
  .option('--port <n>', 'the first of two', '9580')
  .parse()
  .opts<{
    before?: string;
    seconds: string;
    loadSeconds: string;
    clients: string;
    only?: string;
    port: string;
  }>();

const PROBE_MS = 20;
const TOKEN_MS = 25;
const HOSTILE_PAUSE_MS = 4_000;
const sleep = (ms: number) => new Promise((resolved) => setTimeout(resolved, ms));
const note = (text: string) => process.stderr.write(`${text}\n`);
const children: ChildProcess[] = [];
const sources = (name: string, args: string[] = []) => {
  const child = fork(fileURLToPath(new URL(name, import.meta.url)), args, { execArgv: ['--import', 'tsx'] });
  children.push(child);
  return child;
};

const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
const ownLoop = watchLoop();

function liveMs(url: string): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolved, rejected) => {
    get(`${url}/health/live`, { agent }, (response) => {
      response.resume().on('end', () => resolved(performance.now() - startedAt));
    }).on('error', rejected);
  });
}

interface Server {
  readonly url: string;
  /** Ends a stretch of its loop's times, and begins the next. */
  readonly loop: () => Promise<readonly Lateness[]>;
}

async function startServer(checkout: string, model: string, port: number): Promise<Server> {
  const url = `http://127.0.0.1:${port}`;
  const args = ['serve', '--model', model, '--port', String(port), '--trust-proxy', '1'];
  const child = fork(fileURLToPath(new URL('./awake-server.mjs', import.meta.url)), args, {
    cwd: checkout,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, SHOAL_LOG_LEVEL: 'error' },
  });
  children.push(child);
  const loop = async () => {
    child.send('loop');
    return ((await once(child, 'message')) as [Lateness[]])[0];
  };
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    try {
      await liveMs(url);
      return { url, loop };
    } catch {
      await sleep(200);
    }
  }
  throw new Error(`no server on ${url}`);
}

/** Probes all along, one every PROBE_MS whether or not the last was answered: a blocked server is seen by all that wait. */
async function probe(url: string, isOver: () => boolean): Promise<number[]> {
  const times: Promise<number>[] = [];
  while (!isOver()) {
    times.push(liveMs(url));
    await sleep(PROBE_MS);
  }
  return Promise.all(times);
}

interface Seen<T> {
  readonly live: readonly number[];
  /** Of the server. */
  readonly loop: readonly Lateness[];
  /** Of this process, which asks: how much of `live` may be its own. */
  readonly own: readonly Lateness[];
  readonly result: T;
}

async function during<T>({ url, loop }: Server, act: () => Promise<T>): Promise<Seen<T>> {
  let isOver = false;
  await loop();
  ownLoop();
  const probing = probe(url, () => isOver);
  const result = await act().finally(() => {
    isOver = true;
  });
  const live = await probing;
  return { live, own: ownLoop(), loop: await loop(), result };
}

async function attack(clients: ChildProcess, orders: Orders): Promise<Outcome> {
  clients.send(orders);
  const [outcome] = (await once(clients, 'message')) as [Outcome];
  return outcome;
}

/** Milliseconds between the tokens of streams, one after the other. */
async function honestGaps(url: string, seconds: number): Promise<number[]> {
  const gaps: number[] = [];
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) gaps.push(...(await honestStream(url)));
  return gaps;
}

function honestStream(url: string): Promise<number[]> {
  const body = JSON.stringify({
    model: 'bench',
    prompt: 'Fish',
    max_tokens: 200,
    stream: true,
    ignore_eos: true,
  });
  return new Promise((resolved, rejected) => {
    const gaps: number[] = [];
    let last: number | null = null;
    const sent = request(`${url}/v1/completions`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.1' },
    });
    sent.on('response', (response) => {
      if (response.statusCode !== 200) rejected(new Error(`the honest client got ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        const now = performance.now();
        // Tokens that come together have waited together: the first of them has the gap.
        const events = String(chunk).split('data: ').length - 1;
        if (last !== null) for (let i = 0; i < events; i++) gaps.push(i === 0 ? now - last : 0);
        last = now;
      });
      response.on('end', () => resolved(gaps));
    });
    sent.on('error', rejected).end(body);
  });
}

const quantile = (values: readonly number[], q: number) => {
  const inOrder = values.toSorted((a, b) => a - b);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(inOrder.length * q))] ?? Number.NaN;
};
const show = (ms: number) => (ms >= 100 ? ms.toFixed(0) : ms.toFixed(1));
const three = (times: readonly number[]) =>
  [quantile(times, 0.5), quantile(times, 0.99), quantile(times, 1)].map(show).join(' / ');
/** The latest tick with what it waited for a core, and the most that the thread did in a row. */
const lateness = (ticks: readonly Lateness[]) => {
  const latest = ticks.reduce((a, b) => (b.late > a.late ? b : a));
  const ran = Math.max(...ticks.map((tick) => tick.ran ?? Number.NaN));
  return [latest.late, latest.starved ?? Number.NaN, ran].map(show).join(' / ');
};
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const statusesOf = ({ statuses }: Outcome) =>
  Object.entries(statuses)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ');

const folder = await mkdtemp(join(tmpdir(), 'shoal-awake-'));
try {
  const model = await benchModel(folder);
  const [clients] = [sources('./awake-clients.ts')];
  await once(clients, 'message');
  const sides: { name: string; server: Server }[] = [];
  if (flags.before !== undefined) {
    sides.push({
      name: 'before',
      server: await startServer(resolve(flags.before), model, Number(flags.port)),
    });
  }
  sides.push({ name: 'now', server: await startServer(process.cwd(), model, Number(flags.port) + 1) });

  const load = () => `load ${loadavg()[0]!.toFixed(1)}`;
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? '?'} (${cpus().length} cores), Node ${process.version}, ${load()} at the start.\n`,
  );
  console.log(
    row(['', ...sides.flatMap(({ name }) => [`${name}: GET /health/live`, `${name}: the server’s loop`])]),
  );
  console.log(row(['---', ...sides.flatMap(() => ['---:', '---:'])]));
  const cellsOf = ({ live, loop }: Seen<unknown>) => [three(live), lateness(loop)];
  const idle = [];
  for (const { server } of sides) {
    idle.push(...cellsOf(await during(server, () => sleep(Number(flags.seconds) * 1_000))));
  }
  console.log(row(['nobody else', ...idle]));
  for (const [index, { name }] of ATTACKS.entries()) {
    if (!name.includes(flags.only ?? '')) continue;
    const cells = [];
    for (const { name: side, server } of sides) {
      const orders = {
        url: server.url,
        attacks: [index],
        clients: 2,
        pauseMs: 0,
        asksToo: false,
        seconds: Number(flags.seconds),
      };
      const seen = await during(server, () => attack(clients, orders));
      note(`${side}, ${name}: ${statusesOf(seen.result)}; the probe’s own loop: ${lateness(seen.own)}`);
      cells.push(...cellsOf(seen));
    }
    console.log(row([name, ...cells]));
  }

  const seconds = Number(flags.loadSeconds);
  console.log(
    `\n${flags.clients} hostile clients, each with one of these or a small question every ${HOSTILE_PAUSE_MS / 1_000} s, and an honest one; a scripted engine gives each sequence a token every ${TOKEN_MS} ms; ${load()}.\n`,
  );
  console.log(
    row([
      '',
      'ms a token alone: p50 / p99',
      'among them',
      'p99, ×',
      '/health/live among them: p50 / p99 / max',
      'the server’s loop',
      'the hostile ones got',
    ]),
  );
  console.log(row(['---', '---:', '---:', '---:', '---:', '---:', '---']));
  for (const { name, server } of sides) {
    const { url } = server;
    const engine = sources('./awake-engine.ts', [`${url.replace('http', 'ws')}/signal`, String(TOKEN_MS)]);
    await sleep(3_000);
    const orders = {
      url,
      attacks: ATTACKS.map((_, index) => index),
      clients: Number(flags.clients),
      pauseMs: HOSTILE_PAUSE_MS,
      asksToo: true,
      seconds,
    };
    const alone = await honestGaps(url, seconds / 2);
    const { live, loop, own, result } = await during(server, async () => {
      const [outcome, gaps] = await Promise.all([attack(clients, orders), honestGaps(url, seconds)]);
      return { outcome, gaps };
    });
    alone.push(...(await honestGaps(url, seconds / 2)));
    engine.kill();
    note(`${name}, among them: the probe’s own loop: ${lateness(own)}`);
    const two = (gaps: readonly number[]) => `${show(quantile(gaps, 0.5))} / ${show(quantile(gaps, 0.99))}`;
    const ratio = quantile(result.gaps, 0.99) / quantile(alone, 0.99);
    console.log(
      row([
        name,
        two(alone),
        two(result.gaps),
        ratio.toFixed(2),
        three(live),
        lateness(loop),
        statusesOf(result.outcome),
      ]),
    );
  }
} finally {
  for (const child of children) child.kill();
  await rm(folder, { recursive: true, force: true });
  agent.destroy();
}
