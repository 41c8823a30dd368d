/** Real tabs, and a server that is killed in mid-answer: they keep their shards and go on, and so does the client's answer. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resumableChat } from '../support/resumable-client.ts';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';

const BODY = {
  model: 'minnow',
  messages: [{ role: 'user', content: 'Tell me a story about a fish.' }],
  max_tokens: 150,
  temperature: 0.8,
  seed: 11,
  ignore_eos: true,
};
const DEADLINE_MS = 150_000;
const TABS = 2;

let directory: string;
let url: string;
let server: ShoalRun;
let worker: ShoalRun;

interface Worker {
  readonly peer: string;
  readonly state: string;
  readonly downloadedBytes: number;
}
const workers = async (): Promise<Worker[]> => {
  const status = (await (await fetch(`${url}/api/status`)).json()) as { workers: Worker[] };
  return status.workers.sort((a, b) => a.peer.localeCompare(b.peer));
};

async function untilServes(): Promise<void> {
  const endsAt = performance.now() + DEADLINE_MS;
  while (performance.now() < endsAt) {
    const ready = await fetch(`${url}/health/ready`).catch(() => null);
    if (ready?.ok && (await workers()).filter(({ state }) => state === 'serving').length === TABS) return;
    await delay(200);
  }
  throw new Error(
    `not ready:\n${server.output.stderr.slice(-2_000)}\n${worker?.output.stderr.slice(-2_000)}`,
  );
}

const start = () => {
  const port = new URL(url).port;
  server = runShoal(['serve', '--port', port, '--state', directory]);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(free.address() as { port: number }).port}`;
  await new Promise((resolve) => free.close(resolve));
  start();
  worker = runShoal(['worker', '--server', url, '--tabs', String(TABS)]);
  await untilServes();
});
afterAll(async () => {
  worker?.child.kill('SIGTERM');
  await worker?.ended;
  server.child.kill('SIGTERM');
  await server.ended;
  await rm(directory, { recursive: true, force: true });
});

describe('a server that is killed under real tabs', () => {
  it('is back with the same peers and shards, and the same text', async () => {
    const calm = await resumableChat(url, BODY, DEADLINE_MS);
    expect(calm.connections).toBe(1);
    const before = await workers();
    let isKilled = false;
    const storm = await resumableChat(url, BODY, DEADLINE_MS, (count) => {
      if (count !== 20 || isKilled) return;
      isKilled = true;
      server.child.kill('SIGKILL');
      void server.ended.then(start);
    });
    expect(storm.connections).toBeGreaterThan(1);
    expect(storm.text).toBe(calm.text);
    await untilServes();
    const after = await workers();
    expect(after.map(({ peer }) => peer)).toEqual(before.map(({ peer }) => peer));
    // A server that has just started counts from zero: nothing was fetched since.
    expect(after.map(({ downloadedBytes }) => downloadedBytes)).toEqual(after.map(() => 0));
    console.info(`pause over the restart: ${Math.round(storm.longestPauseMs)} ms`);
  });
});
