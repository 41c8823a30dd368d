import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { type Network, nodeChecks } from '../../../src/cli/doctor/node-reach.ts';
import type { ProxyConfig } from '../../../src/config/backend-config.ts';
import { parseModelBackend } from '../../../src/config/model-backend.ts';

const never = new AbortController().signal;

function configOf(source: string): ProxyConfig {
  const config = parseModelBackend(source, 'x', {});
  if (config.provider === 'fxn') throw new Error('read as fxn');
  return config;
}

interface World {
  readonly addresses?: readonly string[];
  readonly connectError?: string | null;
  readonly ready?: boolean;
  readonly models?: readonly string[];
}

async function diagnose(
  source: string,
  { addresses, connectError = null, ready = true, models = ['m'] }: World = {},
) {
  const log: string[] = [];
  const network: Network = {
    async resolve(hostname) {
      log.push(`resolve ${hostname}`);
      if (addresses === undefined) throw Object.assign(new Error('x'), { code: 'ENOTFOUND' });
      return addresses.map((address) => ({ address, family: 4 }));
    },
    async connect(address, port) {
      log.push(`connect ${address}:${port}`);
      return connectError;
    },
    open: (config) =>
      config.nodes.map(({ url }) => ({
        id: url,
        name: url,
        maxConcurrent: 1,
        anyModel: false,
        backend: {
          provider: config.provider,
          readiness: async () => ({ ready, detail: ready ? 'serves' : 'refused by the backend' }),
          models: async () => models.map((id) => ({ id, created: 0, ownedBy: 'x' })),
          close: async () => void log.push('closed'),
        } as unknown as Backend,
      })),
  };
  const checks = nodeChecks(configOf(source), network);
  const found = [];
  for (const check of checks) found.push({ name: check.name, ...(await check.run(never)) });
  return { found, log };
}

describe('a node', () => {
  it('is resolved, connected to and asked, and closed', async () => {
    const { found, log } = await diagnose('backend_provider: vllm\nurl: "https://gpu.example/v1"', {
      addresses: ['8.8.8.8'],
    });
    expect(found).toEqual([{ name: 'backend', state: 'ok', detail: 'https://gpu.example/v1: serves' }]);
    expect(log).toEqual(['resolve gpu.example', 'connect 8.8.8.8:443', 'closed']);
  });

  it('whose name has no address', async () => {
    const { found, log } = await diagnose('backend_provider: vllm\nurl: "http://nope.example"');
    expect(found[0]).toMatchObject({ state: 'failure', detail: 'nope.example has no address (ENOTFOUND)' });
    expect(log).toEqual(['resolve nope.example', 'closed']);
  });

  it.each([
    ['ollama', '`ollama serve`', 'port 11434 of localhost (127.0.0.1)'],
    ['vllm', '`vllm serve MODEL`', 'port 8000 of localhost (127.0.0.1)'],
  ])('that is not running: %s', async (provider, remedy, where) => {
    const { found } = await diagnose(`backend_provider: ${provider}`, {
      addresses: ['127.0.0.1'],
      connectError: 'ECONNREFUSED',
    });
    expect(found[0]).toMatchObject({
      state: 'failure',
      detail: `nothing listens on ${where}`,
      remedy: expect.stringContaining(remedy),
    });
  });

  it('that a firewall hides', async () => {
    const { found } = await diagnose('backend_provider: custom\nurl: "http://8.8.8.8:81"', {
      connectError: 'ETIMEDOUT',
    });
    expect(found[0]).toMatchObject({
      detail: 'port 81 of 8.8.8.8 does not answer (ETIMEDOUT)',
      remedy: expect.stringContaining('firewalls'),
    });
  });

  it('is not connected to at an address that is not allowed', async () => {
    const source = 'backend_provider: custom\nurl: "http://gpu.example"';
    const refused = await diagnose(source, { addresses: ['10.0.0.5', '169.254.169.254'], ready: false });
    expect(refused.log).toEqual(['resolve gpu.example', 'closed']);
    expect(refused.found[0]).toMatchObject({ state: 'failure', detail: 'refused by the backend' });
    const loopback = await diagnose(source, { addresses: ['127.0.0.1'], ready: false });
    expect(loopback.log).not.toContain('connect 127.0.0.1:80');
    const allowed = await diagnose(`${source}\nallow_addresses: ["10.0.0.0/8"]`, { addresses: ['10.0.0.5'] });
    expect(allowed.log).toContain('connect 10.0.0.5:80');
  });

  it('that lists no model is told, unless it has an alias', async () => {
    const source = 'backend_provider: ollama';
    const { found } = await diagnose(source, { addresses: ['127.0.0.1'], models: [] });
    expect(found[0]).toMatchObject({ state: 'warning' });
    const aliased = await diagnose(`${source}\nmodel_name_alias: a`, {
      addresses: ['127.0.0.1'],
      models: [],
    });
    expect(aliased.found[0]).toMatchObject({ state: 'ok' });
  });

  it('has a number among several', async () => {
    const { found } = await diagnose(
      'backend_provider: custom\nnodes: [{url: "http://8.8.8.8"}, {url: "http://8.8.4.4"}]',
    );
    expect(found.map(({ name }) => name)).toEqual(['backend 1', 'backend 2']);
  });
});
