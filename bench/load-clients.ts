/**
 * Workers of the bench, a process of their own: each has a WebSocket, says what a worker says (src/sim/load-worker.ts), and computes
 * nothing. Each has an address of its own (X-Forwarded-For), as tabs all over the world have.
 */
import { Agent, get } from 'node:http';
import { WebSocket } from 'ws';
import { STATUS_POLL_WORKERS } from '../src/config/limits.ts';
import { parseServerMessage, writeMessage } from '../src/mesh/protocol/codec.ts';
import { systemTimers } from '../src/mesh/timers.ts';
import { LoadWorker } from '../src/sim/load-worker.ts';
import { SeededRandom } from '../src/sim/random.ts';
import { watchLoop } from './loop-watch.mjs';

export type LoadOrder = { readonly add: number; readonly perSecond: number } | { readonly report: true };

export interface LoadReport {
  readonly open: number;
  /** Closed by the server, with its reasons. */
  readonly closed: Record<string, number>;
  readonly holding: number;
  readonly links: { readonly mean: number; readonly most: number };
  /** Since the last report. */
  readonly sent: number;
  readonly received: number;
  readonly receivedBytes: number;
  /** Of their pages, how the mesh stands; answered. */
  readonly polls: number;
  /** The latest that this process's own timers were, in ms: what the workers say comes late by it. */
  readonly late: number;
}

const [url, pages] = process.argv.slice(2);
/** Its page asks how the mesh stands, over a connection that it keeps. */
const hasPages = pages === 'pages';
const statusUrl = url!.replace(/^ws(.*)signal$/, 'http$1api/status');
const stretch = watchLoop();
const random = new SeededRandom(1);
const crowd = new Map<string, LoadWorker>();
const workers: { readonly socket: WebSocket; readonly worker: LoadWorker }[] = [];
let counts = { sent: 0, received: 0, receivedBytes: 0, polls: 0 };
const closed: Record<string, number> = {};

function poll(peer: string, address: string, socket: WebSocket): void {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  socket.on('close', () => agent.destroy());
  const ask = () => {
    if (socket.readyState !== WebSocket.OPEN) return;
    const headers = { 'x-forwarded-for': address, 'accept-encoding': 'gzip' };
    const again = () => {
      setTimeout(ask, 1_000 * Math.max(1, workers.length / STATUS_POLL_WORKERS));
    };
    get(`${statusUrl}?peer=${peer}`, { agent, headers }, (response) => {
      counts.polls++;
      response.resume().on('close', again);
    }).on('error', again);
  };
  ask();
}

function join(): Promise<void> {
  const index = workers.length;
  const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  const socket = new WebSocket(url!, {
    perMessageDeflate: false,
    headers: { 'x-forwarded-for': address },
  });
  const worker = new LoadWorker({
    timers: systemTimers,
    random: random.fork(`worker ${index}`),
    crowd,
    isOpen: () => socket.readyState === WebSocket.OPEN,
    send: (message) => {
      counts.sent++;
      socket.send(writeMessage(message));
    },
  });
  workers.push({ socket, worker });
  socket.on('message', (data) => {
    const text = String(data);
    counts.received++;
    counts.receivedBytes += text.length;
    const message = parseServerMessage(text);
    worker.received(message);
    if (message.type === 'welcome' && hasPages) poll(message.peer, address, socket);
  });
  return new Promise((resolve) => {
    socket.on('open', () => {
      worker.hello();
      resolve();
    });
    socket.on('error', (error) => {
      closed[error.message] = (closed[error.message] ?? 0) + 1;
      resolve();
    });
    socket.on('close', (code, reason) => {
      worker.ended();
      const why = `${code} ${reason}`;
      closed[why] = (closed[why] ?? 0) + 1;
    });
  });
}

/** Of those that have not opened yet: one after the other, each would wait for the server's turn. */
const MAX_OPENING = 64;

async function add(count: number, perSecond: number): Promise<void> {
  const startedMs = performance.now();
  const opening = new Set<Promise<void>>();
  for (let i = 0; i < count; i++) {
    const waitMs = startedMs + (i * 1_000) / perSecond - performance.now();
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (opening.size >= MAX_OPENING) await Promise.race(opening);
    const joining = join().finally(() => opening.delete(joining));
    opening.add(joining);
  }
  await Promise.all(opening);
}

function report(): LoadReport {
  const open = workers.filter(({ socket }) => socket.readyState === WebSocket.OPEN);
  const links = open.map(({ worker }) => worker.links);
  const told = {
    open: open.length,
    closed,
    holding: open.filter(({ worker }) => worker.holds > 0).length,
    links: {
      mean: links.reduce((sum, count) => sum + count, 0) / Math.max(1, links.length),
      most: Math.max(0, ...links),
    },
    ...counts,
    late: Math.max(0, ...stretch().map(({ late }) => late)),
  };
  counts = { sent: 0, received: 0, receivedBytes: 0, polls: 0 };
  return told;
}

process.on('message', async (order: LoadOrder) => {
  if ('add' in order) await add(order.add, order.perSecond);
  process.send?.(report());
});
process.send?.('ready');
