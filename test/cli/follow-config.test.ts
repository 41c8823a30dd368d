import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConfigReload, followConfig, type ReloadReason } from '../../src/cli/follow-config.ts';
import { readConfigFile, readFirstConfig } from '../../src/cli/read-config.ts';
import type { ModelBackendConfig } from '../../src/config/backend-config.ts';
import { ShoalError } from '../../src/config/errors.ts';

const CUSTOM = 'backend_provider: custom\nurl: http://127.0.0.1:1\n';
let directory: string;
let file: string;
let lines: string[];
let applied: ModelBackendConfig[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-follow-'));
  file = join(directory, 'model_backend.yaml');
  lines = [];
  applied = [];
  await writeFile(file, CUSTOM);
});
afterEach(() => rm(directory, { recursive: true }));

async function start(
  apply = async (config: ModelBackendConfig) => void applied.push(config),
): Promise<(why: ReloadReason) => Promise<void>> {
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
  const { config } = await readConfigFile(file);
  return createConfigReload({ file, config, apply, log });
}

describe('a reload', () => {
  it('applies what changed and says what, without the keys', async () => {
    const reload = await start();
    await writeFile(file, `${CUSTOM}api_key: sk-very-secret\nmodel_name_alias: "m"`);
    await reload('change');
    expect(applied).toHaveLength(1);
    expect(applied[0]).toMatchObject({ provider: 'custom', nodes: [{ modelNameAlias: 'm' }] });
    const told = lines.join('\n');
    expect(told).toContain('nodes[0].api_key added');
    expect(told).toContain('nodes[0].model_name_alias added: "m"');
    expect(told).not.toContain('very-secret');
  });

  it('leaves a file that means the same alone; SIGHUP is answered all the same', async () => {
    const reload = await start();
    await writeFile(file, `# touched\n${CUSTOM}`);
    await reload('change');
    expect([applied, lines]).toEqual([[], []]);
    await reload('SIGHUP');
    expect(applied).toEqual([]);
    expect(lines).toEqual([`SIGHUP: ${file} means what runs already`]);
  });

  it('keeps what runs when the file is broken, and says every fault with its place', async () => {
    const reload = await start();
    await writeFile(file, 'backend_provider: custom\nurl: "nonsense"\nmodel_nam_alias: x\n');
    await reload('change');
    expect(applied).toEqual([]);
    expect(lines.filter((line) => line.startsWith(`${file}:2:6: url: `))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith(`${file}:3:1: model_nam_alias: `))).toHaveLength(1);
    expect(lines.at(-1)).toBe(`${file} was not applied; what ran before goes on`);
    await writeFile(file, CUSTOM.replace(':1\n', ':2\n'));
    await reload('change');
    expect(applied).toMatchObject([{ nodes: [{ url: 'http://127.0.0.1:2' }] }]);
  });

  it.each([
    ['empty', async () => writeFile(file, '')],
    ['gone', async () => rm(file)],
  ])('keeps what runs when the file is %s', async (_what, spoil) => {
    const reload = await start();
    await spoil();
    await reload('change');
    expect(applied).toEqual([]);
    expect(lines.at(-1)).toContain('was not applied');
  });

  it('tries again what could not be applied', async () => {
    let isBroken = true;
    const reload = await start(async (config) => {
      if (isBroken) throw new ShoalError('MODEL_NOT_FOUND', 'no model "x" here');
      applied.push(config);
    });
    await writeFile(file, CUSTOM.replace(':1\n', ':2\n'));
    await reload('change');
    expect(lines).toContain('no model "x" here');
    isBroken = false;
    await reload('SIGHUP');
    expect(applied).toHaveLength(1);
  });

  it('takes calls in turn, and ends with what the file says last', async () => {
    const started: (() => void)[] = [];
    const reload = await start(async (config) => {
      await new Promise<void>((resolve) => started.push(resolve));
      applied.push(config);
    });
    await writeFile(file, CUSTOM.replace(':1\n', ':2\n'));
    const first = reload('change');
    while (started.length < 1) await new Promise((resolve) => setTimeout(resolve, 1));
    await writeFile(file, CUSTOM.replace(':1\n', ':3\n'));
    const rest = [reload('change'), reload('change'), reload('SIGHUP')];
    expect(started).toHaveLength(1);
    started[0]!();
    await first;
    while (started.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    started[1]!();
    await Promise.all(rest);
    expect(applied.map((config) => config.provider === 'custom' && config.nodes[0].url)).toEqual([
      'http://127.0.0.1:2',
      'http://127.0.0.1:3',
    ]);
    expect(lines.at(-1)).toContain('SIGHUP');
  });

  it('reads the environment at that moment', async () => {
    await writeFile(file, `${CUSTOM}model_name_alias: "\${SHOAL_TEST_ALIAS}"`);
    process.env.SHOAL_TEST_ALIAS = 'first';
    try {
      const reload = await start();
      process.env.SHOAL_TEST_ALIAS = 'second';
      await reload('SIGHUP');
      expect(applied).toMatchObject([{ nodes: [{ modelNameAlias: 'second' }] }]);
    } finally {
      delete process.env.SHOAL_TEST_ALIAS;
    }
  });
});

it('at the start a file that was named has to be there', async () => {
  expect(await readFirstConfig(file)).toMatchObject({ file, config: { provider: 'custom' } });
  const missing = join(directory, 'none.yaml');
  await expect(readFirstConfig(missing)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

describe('a command that was given no file', () => {
  it('says nothing about one that is not there, and follows it once it is', async () => {
    const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
    const closers: (() => Promise<unknown>)[] = [];
    const scope = {
      signal: new AbortController().signal,
      defer: (close: () => Promise<unknown>) => void closers.push(close),
      beforeEnd: () => {},
      onHangUp: () => {},
    };
    await rm(file);
    const apply = async (config: ModelBackendConfig) => void applied.push(config);
    followConfig({ file, config: { provider: 'fxn' }, apply, log }, scope);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(lines).toEqual([]);
    await writeFile(file, CUSTOM);
    await expect.poll(() => applied, { timeout: 10_000 }).toHaveLength(1);
    await Promise.all(closers.map((close) => close()));
  });
});
