import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { openProxyNodes } from '../../src/backend/proxy-nodes.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';
import type { AccessSettings } from '../../src/server/access/open-access.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';

const PAGE = fileURLToPath(new URL('../../dist', import.meta.url));

/** A server in this process whose model_backend.yaml is `yaml`; for proxies. */
export async function openGateway(yaml: string, access: AccessSettings = {}): Promise<RunningServer> {
  const config = parseModelBackend(yaml, 'model_backend.yaml');
  if (config.provider === 'fxn') throw new Error('a mesh is opened by MeshRun');
  return startServer({
    node: { kind: 'proxy', provider: config.provider, open: () => openProxyNodes(config) },
    port: 0,
    pageDirectory: PAGE,
    access,
    log: pino({ level: process.env.SHOAL_TEST_LOG ?? 'silent' }),
  });
}
