import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type BrowserProbe,
  browserChecks,
  folderCheck,
  nodeCheck,
  pageCheck,
  portCheck,
} from '../../../src/cli/doctor/machine.ts';

const never = new AbortController().signal;
const state = async (check: { run(signal: AbortSignal): Promise<unknown> }) => check.run(never);

it.each([
  ['20.19.0', 'ok'],
  ['20.20.1', 'ok'],
  ['22.0.0', 'ok'],
  ['20.18.9', 'failure'],
  ['18.20.0', 'failure'],
])('Node %s is %s where 20.19 is the least', async (version, expected) => {
  expect(await state(nodeCheck(version, '20.19'))).toMatchObject({ state: expected });
});

describe('the browser', () => {
  const adapter = { name: 'acme gpu', isSoftware: false, hasF16: true, maxBufferMib: 2048 };
  const probe = (overrides: Partial<BrowserProbe> = {}): BrowserProbe => ({
    find: () => ({ path: '/usr/bin/chrome', version: '140.0.1' }),
    adapter: async () => adapter,
    ...overrides,
  });
  const run = (isNeeded: boolean, overrides?: Partial<BrowserProbe>) =>
    Promise.all(browserChecks(isNeeded, probe(overrides)).map(state));

  it('and its adapter are told', async () => {
    expect(await run(true)).toEqual([
      { state: 'ok', detail: 'Chrome 140.0.1 at /usr/bin/chrome' },
      { state: 'ok', detail: 'acme gpu; f16, buffers to 2048 MiB' },
    ]);
  });

  it('is a warning where it is missing, for it is fetched, and a failure where the named one is missing and needed', async () => {
    expect(await run(true, { find: () => null })).toEqual([
      expect.objectContaining({ state: 'warning', detail: expect.stringContaining('fetch') }),
    ]);
    const wrong = { find: () => null, named: '/no/chrome' };
    expect(await run(true, wrong)).toEqual([
      expect.objectContaining({ state: 'failure', detail: expect.stringContaining('/no/chrome') }),
    ]);
    expect(await run(false, wrong)).toEqual([expect.objectContaining({ state: 'warning' })]);
  });

  it('that is old is told', async () => {
    const [browser] = await run(true, { find: () => ({ path: '/c', version: '120.0' }) });
    expect(browser).toMatchObject({ state: 'warning' });
  });

  it('without an adapter fails, with a software one warns; where it is not needed nobody starts it', async () => {
    const second = async (found: BrowserProbe['adapter']) => (await run(true, { adapter: found }))[1];
    expect(await second(async () => null)).toMatchObject({
      state: 'failure',
      remedy: expect.stringContaining('driver'),
    });
    expect(await second(async () => ({ ...adapter, isSoftware: true }))).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('which is software'),
    });
    const started = () => Promise.reject(new Error('started'));
    expect(await run(false, { adapter: started })).toHaveLength(1);
  });
});

describe('the port', () => {
  it('is free, taken by Shoal, or taken by something else', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await state(portCheck(port, async () => 'a Shoal server'))).toEqual({
      state: 'ok',
      detail: `${port}: a Shoal server`,
    });
    expect(await state(portCheck(port, async () => null))).toMatchObject({
      state: 'warning',
      detail: `${port} is taken by another program`,
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await state(portCheck(port, async () => 'nobody'))).toEqual({
      state: 'ok',
      detail: `${port} is free`,
    });
  });
});

describe('folders', () => {
  it('say whether models can be kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-doctor-'));
    try {
      expect(await state(folderCheck({ SHOAL_HOME: folder }))).toMatchObject({ state: 'ok' });
      const file = join(folder, 'file');
      writeFileSync(file, '');
      chmodSync(file, 0o444);
      expect(await state(folderCheck({ SHOAL_HOME: file }))).toMatchObject({
        state: 'warning',
        remedy: expect.stringContaining('SHOAL_HOME'),
      });
      expect(await state(pageCheck(folder))).toMatchObject({
        state: 'failure',
        remedy: expect.stringContaining('npm run build'),
      });
      writeFileSync(join(folder, 'index.html'), '');
      expect(await state(pageCheck(folder))).toEqual({ state: 'ok', detail: 'built' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
