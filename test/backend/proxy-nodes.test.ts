import { afterEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { NodePool } from '../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../src/backend/pool/routed.ts';
import { openProxyNodes } from '../../src/backend/proxy-nodes.ts';
import type { ProxyConfig } from '../../src/config/backend-config.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';
import { until } from '../support/until.ts';
import { chunk, json, type Received, UpstreamServer } from '../support/upstream-server.ts';

const config = (source: string) => parseModelBackend(source, 'mb.yaml') as ProxyConfig;
const signal = () => new AbortController().signal;

describe('openProxyNodes', () => {
  it.each(['custom', 'vllm', 'ollama'] as const)(
    'opens a backend of the kind that the config names: %s',
    async (provider) => {
      const nodes = openProxyNodes(config(`backend_provider: ${provider}\nurl: "http://127.0.0.1:1"`));
      expect(nodes.map(({ backend }) => backend.provider)).toEqual([provider]);
      await Promise.all(nodes.map(({ backend }) => backend.close()));
    },
  );

  it('names nodes by host and port, and knows which answer to any name', async () => {
    const nodes = openProxyNodes(
      config(
        'backend_provider: custom\nnodes:\n  - url: "http://127.0.0.1:1/secret-path"\n    max_concurrent: 3\n  - url: "http://127.0.0.1:2"\n    model_name_alias: other\n',
      ),
    );
    expect(nodes.map(({ id, name, maxConcurrent, anyModel }) => [id, name, maxConcurrent, anyModel])).toEqual(
      [
        ['proxy-1', '127.0.0.1:1', 3, false],
        ['proxy-2', '127.0.0.1:2', expect.any(Number), true],
      ],
    );
    await Promise.all(nodes.map(({ backend }) => backend.close()));
  });

  it('refuses a private address that the config does not allow', async () => {
    // Past the config's own check, as a name that leads there would be.
    const plain = config('backend_provider: custom\nurl: "http://127.0.0.1:1"');
    const [node] = openProxyNodes({ ...plain, nodes: [{ ...plain.nodes[0], url: 'http://10.1.2.3:8000' }] });
    const answer = node!.backend.chatCompletions({ model: 'm' }, { signal: signal() });
    await expect(answer).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    await node!.backend.close();
  });
});

describe('two servers behind one API', () => {
  const servers: UpstreamServer[] = [];
  let pool: NodePool;

  async function start(count: number): Promise<Backend> {
    const urls = await Promise.all(
      Array.from({ length: count }, () => {
        const server = new UpstreamServer();
        servers.push(server);
        return server.listen();
      }),
    );
    for (const [index, server] of servers.entries()) server.handler = wellBehaved(index);
    pool = new NodePool();
    const source = `backend_provider: custom\nnodes:\n${urls.map((url) => `  - url: "${url}"\n`).join('')}`;
    for (const node of openProxyNodes(config(source))) pool.add(node);
    await until(() => pool.statuses().every(({ models }) => models.length > 0));
    return createRoutedBackend({ pool, provider: 'custom' });
  }

  const sse = (...events: unknown[]) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  const wellBehaved =
    (index: number): UpstreamServer['handler'] =>
    (response, received) => {
      if (received.path.endsWith('/models')) return json({ data: [{ id: 'm' }] })(response, received);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`${sse(chunk(`from ${index}`), chunk('', 'stop'))}data: [DONE]\n\n`);
    };
  const chats = (server: UpstreamServer) => server.received.filter(({ method }) => method === 'POST');
  const isModels = ({ path }: Received) => path.endsWith('/models');

  afterEach(async () => {
    await pool.close();
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  const ask = (backend: Backend, more: { signal?: AbortSignal } = {}) =>
    backend.chatCompletions({ model: 'm', messages: [], stream: true }, { signal: signal(), ...more });

  it('a request that one resets before its first byte is answered by the other', async () => {
    const backend = await start(2);
    servers[0]!.handler = (response, received) =>
      isModels(received) ? json({ data: [{ id: 'm' }] })(response, received) : response.destroy();
    for (let i = 0; i < 4; i++) expect(await (await ask(backend)).text()).toContain('from 1');
    expect(chats(servers[0]!).length).toBeGreaterThan(0);
    expect(pool.statuses().map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('one that is gone is answered around, and its port is named', async () => {
    const backend = await start(2);
    await servers[0]!.close();
    for (let i = 0; i < 8; i++) expect(await (await ask(backend)).text()).toContain('from 1');
    const [gone] = pool.statuses();
    expect(gone!.lastError).toContain(gone!.name);
  });

  it('a stream that breaks ends with an error event, and nothing is sent again', async () => {
    const backend = await start(2);
    for (const server of servers) {
      server.handler = (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(sse(chunk('half')));
        setTimeout(() => response.destroy(), 20);
      };
    }
    const text = await (await ask(backend)).text();
    expect(text).toContain('half');
    expect(text).toContain('"error"');
    expect(servers.flatMap(chats)).toHaveLength(1);
    await until(() => pool.statuses().every(({ inFlight }) => inFlight === 0));
  });

  it('a client that hangs up ends its request there, and its place is free', async () => {
    const backend = await start(1);
    servers[0]!.handler = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(sse(chunk('half')));
    };
    const hangUp = new AbortController();
    const response = await ask(backend, { signal: hangUp.signal });
    expect(pool.statuses()[0]!.inFlight).toBe(1);
    await response.body!.cancel();
    await until(() => servers[0]!.hangUps === 1);
    expect(pool.statuses()[0]!.inFlight).toBe(0);
  });
});
