/**
 * `npm run bench:load`: what one server process bears: real WebSockets of scripted workers, which join, say that they are alive,
 * load layers, link up and answer probes. A row for each number of workers, all on one server, one after the other.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { benchModel } from './awake-model.ts';
import type { LoadOrder, LoadReport } from './load-clients.ts';
import type { Lateness } from './loop-watch.mjs';

const flags = new Command('bench:load')
  .option('--workers <list>', 'numbers of workers, rising', '1000,3000,10000')
  .option('--joins <n>', 'that come in a second', '200')
  .option('--settle <n>', 'seconds from the last join until it is measured', '30')
  .option('--seconds <n>', 'that are measured', '30')
  .option('--replicas <n>', 'workers that shall hold each layer; default: as the server’s')
  .option('--pages', 'each worker’s page asks how the mesh stands, as tabs that are looked at do')
  .option('--port <n>', 'of the server', '9590')
  .parse()
  .opts<{
    workers: string;
    joins: string;
    settle: string;
    seconds: string;
    replicas?: string;
    pages?: true;
    port: string;
  }>();

const sleep = (seconds: number) => new Promise((resolved) => setTimeout(resolved, seconds * 1_000));
const children: ChildProcess[] = [];
const agent = new Agent({ keepAlive: true });
const url = `http://127.0.0.1:${flags.port}`;

async function ask(path: string): Promise<{ readonly ms: number; readonly body: string }> {
  const startedAt = performance.now();
  return new Promise((resolved, rejected) => {
    get(`${url}${path}`, { agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolved({ ms: performance.now() - startedAt, body }));
    }).on('error', rejected);
  });
}

/** With its loop watched from within. */
async function startServer(model: string): Promise<ChildProcess> {
  const args = ['serve', '--model', model, '--port', flags.port, '--trust-proxy', '1'];
  if (flags.replicas !== undefined) args.push('--replicas', flags.replicas);
  const child = fork(fileURLToPath(new URL('./awake-server.mjs', import.meta.url)), args, {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, SHOAL_LOG_LEVEL: 'error' },
  });
  children.push(child);
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    try {
      await ask('/health/live');
      return child;
    } catch {
      await sleep(0.2);
    }
  }
  throw new Error(`no server on ${url}`);
}

interface Usage {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
}

/** Of all threads of the process; Linux' proc(5). */
async function usageOf({ pid }: ChildProcess): Promise<Usage> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = await readFile(`/proc/${pid}/status`, 'latin1');
  const TICKS_PER_SECOND = 100;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssMiB: Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1_024,
  };
}

async function order(clients: ChildProcess, what: LoadOrder): Promise<LoadReport> {
  clients.send(what);
  const [report] = (await once(clients, 'message')) as [LoadReport];
  return report;
}

async function loopOf(server: ChildProcess): Promise<readonly Lateness[]> {
  server.send('loop');
  return ((await once(server, 'message')) as [Lateness[]])[0];
}

const quantile = (values: readonly number[], q: number) => {
  const inOrder = values.toSorted((a, b) => a - b);
  return inOrder[Math.min(inOrder.length - 1, Math.floor(inOrder.length * q))] ?? Number.NaN;
};
const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;

const folder = await mkdtemp(join(tmpdir(), 'shoal-load-'));
try {
  const server = await startServer(await benchModel(folder));
  const clients = fork(
    fileURLToPath(new URL('./load-clients.ts', import.meta.url)),
    [`ws://127.0.0.1:${flags.port}/signal`, flags.pages ? 'pages' : ''],
    {
      execArgv: ['--import', 'tsx'],
    },
  );
  children.push(clients);
  await once(clients, 'message');
  const load = () => loadavg()[0]!.toFixed(1);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? '?'} (${cpus().length} cores), Node ${process.version}, load ${load()} at the start.\n`,
  );
  const titles = [
    'workers',
    'hold layers',
    'links mean / most',
    'lost though they spoke',
    'messages/s',
    'statuses/s',
    'of a core, joining',
    'of a core, then',
    'KiB RSS a worker',
    'loop late p50 / p99 / worst, ms',
    'in one go, p99 / worst, ms',
    '/api/status ms, KiB',
    'load',
  ];
  console.log(row(titles));
  console.log(row(titles.map(() => '---:')));
  const idle = await usageOf(server);
  let present = 0;
  for (const workers of flags.workers.split(',').map(Number)) {
    const before = await usageOf(server);
    const startedAt = performance.now();
    await order(clients, { add: workers - present, perSecond: Number(flags.joins) });
    present = workers;
    const joined = await usageOf(server);
    const joiningSeconds = (performance.now() - startedAt) / 1_000;
    await sleep(Number(flags.settle));
    await order(clients, { report: true });
    await loopOf(server);
    const from = await usageOf(server);
    const fromAt = performance.now();
    await sleep(Number(flags.seconds));
    const to = await usageOf(server);
    const seconds = (performance.now() - fromAt) / 1_000;
    const loop = await loopOf(server);
    const report = await order(clients, { report: true });
    const status = await ask('/api/status');
    const late = loop.map((tick) => tick.late);
    const ran = loop.map((tick) => tick.ran ?? Number.NaN);
    const lost = Object.values(report.closed).reduce((sum, count) => sum + count, 0);
    process.stderr.write(
      `${JSON.stringify(report.closed)}; the workers’ own loop: ${report.late.toFixed(0)} ms late at most\n`,
    );
    console.log(
      row([
        report.open,
        report.holding,
        `${report.links.mean.toFixed(0)} / ${report.links.most}`,
        lost,
        (report.sent / seconds).toFixed(0),
        (report.polls / seconds).toFixed(0),
        `${((100 * (joined.cpuSeconds - before.cpuSeconds)) / joiningSeconds).toFixed(0)} %`,
        `${((100 * (to.cpuSeconds - from.cpuSeconds)) / seconds).toFixed(0)} %`,
        (((to.rssMiB - idle.rssMiB) * 1_024) / workers).toFixed(0),
        [0.5, 0.99, 1].map((q) => quantile(late, q).toFixed(0)).join(' / '),
        [0.99, 1].map((q) => quantile(ran, q).toFixed(0)).join(' / '),
        `${status.ms.toFixed(0)}, ${(status.body.length / 1_024).toFixed(0)}`,
        load(),
      ]),
    );
  }
} finally {
  for (const child of children) child.kill();
  await rm(folder, { recursive: true, force: true });
  agent.destroy();
}
