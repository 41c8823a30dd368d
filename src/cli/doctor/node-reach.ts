/** Whether a proxied node can be reached, and if not, at which step: its name, its port, or what listens there. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import type { PoolNode } from '../../backend/pool/node-pool.ts';
import { openProxyNodes } from '../../backend/proxy-nodes.ts';
import { classifyAddress, literalAddress, matchesCidr } from '../../config/addresses.ts';
import type { ProxyConfig } from '../../config/backend-config.ts';
import { UPSTREAM_PROBE_MS } from '../../config/limits.ts';
import { type Check, type Finding, failure, ok, warning } from './finding.ts';

export interface Network {
  resolve(hostname: string): Promise<readonly LookupAddress[]>;
  /** @returns the error's code, or null once connected */
  connect(address: string, port: number, timeoutMs: number): Promise<string | null>;
  open(config: ProxyConfig): readonly PoolNode[];
}

/** One for each node, which is closed afterwards. */
export function nodeChecks(config: ProxyConfig, network: Network = systemNetwork): Check[] {
  const opened = network.open(config);
  return config.nodes.map((node, index) => ({
    name: config.nodes.length === 1 ? 'backend' : `backend ${index + 1}`,
    async run(signal) {
      const { backend } = opened[index]!;
      try {
        const url = new URL(node.url);
        return (
          (await unreachable(url, config, network)) ??
          (await readiness(opened[index]!, node.url, node.modelNameAlias, signal))
        );
      } finally {
        await backend.close();
      }
    },
  }));
}

async function unreachable(url: URL, config: ProxyConfig, network: Network): Promise<Finding | null> {
  const { hostname } = url;
  const literal = literalAddress(hostname);
  let addresses: readonly string[];
  try {
    addresses =
      literal === null ? (await network.resolve(hostname)).map(({ address }) => address) : [literal];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return failure(`${hostname} has no address (${code})`, 'check the url, and this machine’s name servers');
  }
  // What the backend's own fetch would refuse is not connected to here either; readiness tells the refusal.
  const address = addresses.find((candidate) => isAllowed(hostname, candidate, config.allowAddresses));
  if (address === undefined) return null;
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const code = await network.connect(address, port, Math.min(config.timeouts.connect, UPSTREAM_PROBE_MS));
  if (code === null) return null;
  const at = literal === null ? `${hostname} (${address})` : address;
  return code === 'ECONNREFUSED'
    ? failure(`nothing listens on port ${port} of ${at}`, startHint(config.provider))
    : failure(
        `port ${port} of ${at} does not answer (${code})`,
        'check the address, and the firewalls between',
      );
}

function isAllowed(hostname: string, address: string, allowed: readonly string[]): boolean {
  const kind = classifyAddress(address);
  const isLocal = kind === 'loopback' && (hostname === 'localhost' || literalAddress(hostname) !== null);
  return kind === 'public' || isLocal || allowed.some((range) => matchesCidr(address, range));
}

function startHint(provider: ProxyConfig['provider']): string {
  switch (provider) {
    case 'ollama':
      return 'start it with `ollama serve`, or correct the url';
    case 'vllm':
      return 'start it with `vllm serve MODEL`, and wait until its model is loaded; or correct the url';
    case 'custom':
      return 'start the server, or correct the url';
    default:
      return provider satisfies never;
  }
}

async function readiness(
  { backend }: PoolNode,
  url: string,
  alias: string | undefined,
  signal: AbortSignal,
): Promise<Finding> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(2 * UPSTREAM_PROBE_MS)]);
  const { ready, detail } = await backend.readiness(inTime);
  if (!ready) return failure(detail);
  const found = `${url}: ${detail}`;
  if (alias !== undefined) return ok(found);
  const models = await backend.models(inTime);
  return models.length === 0
    ? warning(found, 'it lists no model; clients have no name to ask for')
    : ok(found);
}

const systemNetwork: Network = {
  resolve: (hostname) => lookup(hostname, { all: true }),
  connect: (host, port, timeoutMs) =>
    new Promise((resolve) => {
      const socket = connect({ host, port, timeout: timeoutMs });
      const end = (code: string | null) => {
        socket.destroy();
        resolve(code);
      };
      socket.once('connect', () => end(null));
      socket.once('timeout', () => end('ETIMEDOUT'));
      socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    }),
  open: openProxyNodes,
};
