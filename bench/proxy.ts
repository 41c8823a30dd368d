/** `npm run bench:proxy`: what the gateway costs in front of another server, every figure measured in this run. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { BenchRequest, Noted } from './proxy-backend.ts';

const flags = new Command('bench:proxy')
  .option('--requests <n>', 'first bytes measured each way', '1000')
  .option('--streams <n>', 'streams at once', '1000')
  .option('--json', 'one JSON object instead of a table')
  .parse()
  .opts<{ requests: string; streams: string; json?: boolean }>();

const note = (text: string) => process.stderr.write(`${text}\n`);
const epochMs = () => performance.timeOrigin + performance.now();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function start(file: string, args: string[] = []): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: ['--expose-gc', '--import', 'tsx'],
  });
  const [url] = (await once(child, 'message')) as [string];
  return { child, url };
}

const backend = await start('./proxy-backend.ts');
const proxy = await start('./proxy-server.ts', [backend.url]);
const agent = new Agent({ keepAlive: true });

/** Sends a request; resolves with the first bytes of the body. */
async function open(
  url: string,
  asked: BenchRequest,
): Promise<{ sent: ClientRequest; response: IncomingMessage; firstByteMs: number }> {
  const body = JSON.stringify({ model: 'bench', stream: true, messages: [], ...asked });
  const startedAt = performance.now();
  const sent = request(`${url}/v1/chat/completions`, {
    method: 'POST',
    agent,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  sent.on('error', () => {});
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
  response.on('error', () => {});
  await once(response, 'readable');
  return { sent, response, firstByteMs: performance.now() - startedAt };
}

async function drain(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text = (text + chunk).slice(-32);
  return text;
}

async function usage(settled = false): Promise<{ rssBytes: number; cpuMs: number }> {
  proxy.child.send(settled ? 'settle' : 'now');
  const [used] = (await once(proxy.child, 'message')) as [{ rssBytes: number; cpuMs: number }];
  return used;
}
const rssBytes = async (settled = false) => (await usage(settled)).rssBytes;

const noted = async () => (await (await fetch(`${backend.url}/noted`)).json()) as Noted;
const sorted = (values: number[]) => values.toSorted((a, b) => a - b);
const quantile = (values: number[], q: number) => {
  const inOrder = sorted(values);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(inOrder.length * q))] ?? Number.NaN;
};

/** Requests before the first that counts: until then the code is not compiled. */
const WARM_UP = 500;

async function measureFirstByte(count: number) {
  // The second event is not there yet when the first could leave.
  const small = { events: 2, interval_ms: 3, event_bytes: 4 };
  const ways = { direct: [] as number[], proxied: [] as number[] };
  const added: number[] = [];
  let cpuBefore = 0;
  for (let at = -WARM_UP; at < count; at++) {
    if (at === 0) cpuBefore = (await usage()).cpuMs;
    // In turns, so that what else this machine does strikes both.
    const order = at % 2 === 0 ? (['direct', 'proxied'] as const) : (['proxied', 'direct'] as const);
    for (const way of order) {
      const { response, firstByteMs } = await open(way === 'direct' ? backend.url : proxy.url, small);
      await drain(response);
      if (at >= 0) ways[way].push(firstByteMs);
    }
    if (at >= 0) added.push(ways.proxied.at(-1)! - ways.direct.at(-1)!);
  }
  return { ...ways, added, cpuMsPerRequest: ((await usage()).cpuMs - cpuBefore) / count };
}

async function measureStreams(count: number) {
  const before = await rssBytes(true);
  let peak = before;
  let isRunning = true;
  const watching = (async () => {
    while (isRunning) {
      peak = Math.max(peak, await rssBytes());
      await sleep(50);
    }
  })();
  const startedAt = performance.now();
  const ends = await Promise.all(
    Array.from({ length: count }, async () => {
      const { response } = await open(proxy.url, { events: 50, interval_ms: 100, event_bytes: 4 });
      return drain(response);
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  isRunning = false;
  await watching;
  await sleep(1_000);
  const after = await rssBytes(true);
  const whole = ends.filter((end) => end.endsWith('data: [DONE]\n\n')).length;
  return { before, peak, after, whole, seconds };
}

async function measureSlowReader() {
  const before = await rssBytes(true);
  const { sent, response } = await open(proxy.url, {
    events: 100_000,
    interval_ms: 0,
    event_bytes: 16_000,
    tag: 'slow',
  });
  response.pause();
  await sleep(3_000);
  const rss = await rssBytes(true);
  const written = (await noted()).writtenBytes.slow ?? 0;
  sent.destroy();
  return { growth: rss - before, written };
}

async function measureHangUps(count: number): Promise<number[]> {
  const at: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const tag = `hang-up ${index}`;
    const { sent } = await open(proxy.url, { events: 10_000, interval_ms: 20, event_bytes: 4, tag });
    await sleep(10);
    at[tag] = epochMs();
    sent.destroy();
  }
  await sleep(500);
  const { hungUpAt } = await noted();
  return Object.entries(at).map(([tag, since]) => (hungUpAt[tag] ?? Number.POSITIVE_INFINITY) - since);
}

note('first byte, direct and proxied in turns …');
const firstByte = await measureFirstByte(Number(flags.requests));
note('streams at once …');
const streams = await measureStreams(Number(flags.streams));
const again = await measureStreams(Number(flags.streams));
note('a slow reader …');
const slow = await measureSlowReader();
note('hang-ups …');
const hangUps = await measureHangUps(100);
agent.destroy();
proxy.child.kill();
backend.child.kill();

const ms = (value: number) => `${value.toFixed(2)} ms`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const row = (way: 'direct' | 'proxied' | 'added') =>
  [0.5, 0.95].map((q) => ms(quantile(firstByte[way], q))).join(' | ');
if (flags.json) {
  process.stdout.write(`${JSON.stringify({ firstByte, streams, again, slow, hangUps })}\n`);
} else {
  process.stdout.write(`${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, node ${process.version}, load ${loadavg()[0]?.toFixed(1)} (of which this bench 1 to 2)

| first byte | p50 | p95 |
|---|---|---|
| direct | ${row('direct')} |
| proxied | ${row('proxied')} |
| added, of each pair | ${row('added')} |

| what | measured |
|---|---|
| CPU time of the server for one such request | ${ms(firstByte.cpuMsPerRequest)} |
| streams at once, of 50 events each, one every 100 ms | ${streams.whole} of ${flags.streams} whole, in ${streams.seconds.toFixed(1)} s |
| memory (RSS) before, peak, after | ${mib(streams.before)}, ${mib(streams.peak)}, ${mib(streams.after)} |
| the same a second time | ${mib(again.before)}, ${mib(again.peak)}, ${mib(again.after)} |
| a reader that stops: memory added in 3 s; taken from the backend | ${mib(slow.growth)}; ${mib(slow.written)} of 1526 MiB |
| hang-up until the backend knows, p50, max of ${hangUps.length} | ${ms(quantile(hangUps, 0.5))}, ${ms(Math.max(...hangUps))} |
`);
}
