import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TabFleet } from '../../src/cli/browser/tab-fleet.ts';
import { descendants, isAlive, renderers, until } from '../support/processes.ts';

/** A page that reports like the real one, and asks the server for `/alive` so that the test sees each load. */
const PAGE = `<!doctype html><script>
  const name = new URLSearchParams(location.search).get('name');
  navigator.gpu?.requestAdapter().then((adapter) => {
    console.info('shoal-state ' + JSON.stringify({ phase: 'serving', detail: adapter ? 'adapter' : 'no adapter' }));
    fetch('/alive?' + name + location.hash.replace('#', '&'));
  });
  addEventListener('shoal-leave', async () => {
    await fetch('/leaves?' + name);
    console.info('shoal-state ' + JSON.stringify({ phase: 'idle', detail: '' }));
  });
</script>`;

let server: Server;
let fleet: TabFleet;
let loads: string[];
let leaves: string[];
let changes: string[];
let notices: string[];

beforeEach(async () => {
  loads = [];
  leaves = [];
  changes = [];
  notices = [];
  server = createServer((request, response) => {
    if (request.url?.startsWith('/alive?')) loads.push(request.url.slice('/alive?'.length));
    if (request.url?.startsWith('/leaves?')) leaves.push(request.url.slice('/leaves?'.length));
    // As the real server: what a browser has shown before is only asked for again.
    response.setHeaders(
      new Map([
        ['content-type', 'text/html'],
        ['cache-control', 'no-cache'],
        ['etag', '"1"'],
      ]),
    );
    if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
    else response.end(PAGE);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fleet = new TabFleet({
    serverUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    joinKey: 'open sesame',
    tabs: 3,
    namePrefix: 'tab',
    gpu: 'software',
    headful: false,
    insecure: false,
    sandbox: true,
    onNotice: (notice) => notices.push(notice),
    onChange: (tab, { phase, detail }) => changes.push(`${tab} ${phase} ${detail}`),
  });
  await fleet.start();
  await until('three tabs are up', () => loads.length >= 3);
});

afterEach(async () => {
  await fleet.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

it('gives every tab an adapter and a process of its own', async () => {
  // The server hears of a tab by another way than the fleet does.
  await until('all have said so', () => changes.length >= 3);
  expect(changes.toSorted()).toEqual([
    'tab-1 serving adapter',
    'tab-2 serving adapter',
    'tab-3 serving adapter',
  ]);
  expect(renderers(process.pid).length).toBeGreaterThanOrEqual(3);
});

it('runs Chrome as an ordinary user in its sandbox, or says what is missing', () => {
  const [renderer] = renderers(process.pid);
  const isRoot =
    process.platform === 'linux'
      ? /^Uid:\t0\b/m.test(readFileSync(`/proc/${renderer!.pid}/status`, 'utf8'))
      : process.getuid?.() === 0;
  const isSandboxed = !renderer!.command.includes('--no-sandbox');
  expect({ isRoot, isSandboxed, isTold: notices.length > 0 }).toEqual(
    notices.length > 0
      ? expect.objectContaining({ isSandboxed: false })
      : { isRoot: false, isSandboxed: true, isTold: false },
  );
});

it('gives each tab the join key where no server reads it, and lets each leave as a person would', async () => {
  expect(loads.toSorted()).toEqual(['tab-1', 'tab-2', 'tab-3'].map((tab) => `${tab}&join-key=open+sesame`));
  await fleet.drain();
  expect(leaves.toSorted()).toEqual(['tab-1', 'tab-2', 'tab-3']);
  for (const { pid } of renderers(process.pid)) process.kill(pid, 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(loads).toHaveLength(3);
});

it('leaves no profile behind', async () => {
  const browser = descendants(process.pid).find(({ command }) => command.includes('--remote-debugging-pipe'));
  const profile = /--user-data-dir=(\S+)/.exec(browser!.command)![1]!;
  expect(existsSync(profile)).toBe(true);
  await fleet.close();
  expect(existsSync(profile)).toBe(false);
});

it('starts a crashed tab again and leaves the others alone', async () => {
  // One renderer may be a spare without a page: kill until a tab is lost.
  for (const { pid } of renderers(process.pid)) {
    process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (changes.some((change) => change.includes(' lost '))) break;
  }
  await until('the tab is back', () => loads.length >= 4);
  // And stays: the page that it was given again is as good as the first.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const lost = changes.filter((change) => change.includes(' lost '));
  expect(lost).toHaveLength(1);
  expect(lost[0]).toMatch(/^tab-\d lost the tab crashed; starting again in 0\.5 s$/);
  expect(loads[3]!.split('&')[0]).toBe(lost[0]!.split(' ')[0]);
});

it('starts a killed browser again with all its tabs', async () => {
  const browser = descendants(process.pid).find(({ command }) => command.includes('--remote-debugging-pipe'));
  process.kill(browser!.pid, 'SIGKILL');
  await until('all tabs are back', () => loads.length >= 6);
  const again = loads.slice(3).map((load) => load.split('&')[0]);
  expect(again.toSorted()).toEqual(['tab-1', 'tab-2', 'tab-3']);
});

it('leaves no process behind', async () => {
  const before = descendants(process.pid).filter(({ command }) => /chrom/i.test(command));
  expect(before.length).toBeGreaterThan(3);
  await fleet.close();
  await until('the browser’s processes are gone', () => !before.some(({ pid }) => isAlive(pid)), 10_000);
});
