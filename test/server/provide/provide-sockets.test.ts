import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { MAX_PROVIDER_MESSAGE_BYTES } from '../../../src/config/limits.ts';
import { PROVIDE_VERSION, type ProvidingServerMessage } from '../../../src/mesh/protocol/provide.ts';
import { hashApiKey, newApiKey } from '../../../src/server/access/api-key.ts';
import { type RunningServer, startServer } from '../../../src/server/server.ts';
import { until } from '../socket-timers.ts';

/** The door of a real server; what happens behind it is test/server/provide/provide.test.ts. */

let folder: string;
let server: RunningServer;
const sockets: WebSocket[] = [];

async function start(keyFile?: string): Promise<void> {
  server = await startServer({
    node: { kind: 'proxy', provider: 'custom', open: () => [] },
    port: 0,
    pageDirectory: folder,
    ...(keyFile !== undefined && { access: { keyFile } }),
    log: pino({ level: 'silent' }),
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-provide-'));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await server.close();
  rmSync(folder, { recursive: true });
});

interface Client {
  readonly socket: WebSocket;
  readonly received: ProvidingServerMessage[];
  /** Close code, once closed. */
  closed: number | null;
}

async function connect(headers: Record<string, string> = {}, path = '/provide'): Promise<Client> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`, { headers });
  const client: Client = { socket, received: [], closed: null };
  sockets.push(socket);
  socket.on('message', (data) => client.received.push(JSON.parse(String(data)) as ProvidingServerMessage));
  socket.on('close', (code) => {
    client.closed = code;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.on('error', reject);
  });
  return client;
}

async function greet(key?: string): Promise<Client> {
  const client = await connect();
  client.socket.send(JSON.stringify({ type: 'hello', version: PROVIDE_VERSION, name: 'box', key }));
  await until(() => client.received.length > 0);
  return client;
}

describe('connecting', () => {
  it.each([
    ['a page of another origin', { origin: 'https://evil.example' }],
    ['a rebound name', { host: 'evil.example' }],
  ])('refuses %s', async (_what, headers) => {
    await start();
    await expect(connect(headers)).rejects.toThrow('403');
  });

  it('refuses other paths', async () => {
    await start();
    await expect(connect({}, '/provider')).rejects.toThrow('404');
  });

  it('takes whom the server’s keys allow to lend, and nobody else', async () => {
    const [key, client] = [newApiKey(), newApiKey()];
    const file = join(folder, 'api_keys.json');
    const stored = (name: string, of: string, lend?: boolean) => ({
      name,
      sha256: hashApiKey(of).toString('hex'),
      created: '2026-01-31T12:00:00Z',
      ...(lend !== undefined && { lend }),
    });
    const never = newApiKey();
    const keys = [stored('box', key, true), stored('client', client), stored('never', never, false)];
    writeFileSync(file, JSON.stringify({ version: 1, keys }));
    await start(file);
    expect((await greet(key)).received[0]).toMatchObject({ type: 'welcome' });
    for (const wrong of [undefined, newApiKey(), client, never]) {
      const refused = await greet(wrong);
      expect(refused.received[0]).toMatchObject({ fatal: true, error: { code: 'UNAUTHORIZED' } });
      await until(() => refused.closed === 1008);
    }
  });

  it('closes who sends more than a message may have', async () => {
    await start();
    const client = await greet();
    client.socket.send(JSON.stringify({ type: 'withdraw', reason: 'x'.repeat(MAX_PROVIDER_MESSAGE_BYTES) }));
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1009);
  });

  it('takes its leave of everyone when the server ends', async () => {
    await start();
    const client = await greet();
    await server.close();
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1001);
  });
});
