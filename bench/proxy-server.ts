/** The server of the proxy bench, a process of its own, so that its memory is told from the clients'. */
import { pino } from 'pino';
import { openProxyNodes } from '../src/backend/proxy-nodes.ts';
import { UPSTREAM_CONNECT_MS, UPSTREAM_HEADERS_MS, UPSTREAM_IDLE_MS } from '../src/config/limits.ts';
import { startServer } from '../src/server/server.ts';

const server = await startServer({
  node: {
    kind: 'proxy',
    provider: 'custom',
    open: () =>
      openProxyNodes({
        provider: 'custom',
        nodes: [{ url: process.argv[2]!, maxConcurrent: 2_000 }],
        allowAddresses: [],
        timeouts: { connect: UPSTREAM_CONNECT_MS, firstByte: UPSTREAM_HEADERS_MS, idle: UPSTREAM_IDLE_MS },
      }),
  },
  port: 0,
  pageDirectory: 'dist',
  log: pino({ level: 'silent' }),
});
process.send?.(server.url);
process.on('message', (question) => {
  if (question === 'settle') globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  process.send?.({ rssBytes: process.memoryUsage().rss, cpuMs: (user + system) / 1000 });
});
