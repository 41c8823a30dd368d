/** The nodes of a pool that model_backend.yaml names. Node.js only: addresses are judged as they are connected to. */
import type { ProxyConfig } from '../config/backend-config.ts';
import type { Backend } from './backend.ts';
import type { Clock } from './clock.ts';
import { createOllamaBackend } from './ollama/ollama.ts';
import type { PoolNode } from './pool/node-pool.ts';
import { createCustomBackend } from './proxy/custom.ts';
import { createGuardedFetch } from './proxy/guarded-fetch.ts';
import type { OpenAiProxyConfig, ProxyOptions } from './proxy/openai-proxy.ts';
import type { UpstreamFetch } from './proxy/upstream-fetch.ts';
import { createVllmBackend } from './proxy/vllm.ts';

export interface ProxyNodesOptions {
  /** Default: one that refuses private addresses, except those that the config allows. */
  readonly fetch?: UpstreamFetch;
  readonly clock?: Clock;
}

const CREATE: Record<ProxyConfig['provider'], (config: OpenAiProxyConfig, options: ProxyOptions) => Backend> =
  { custom: createCustomBackend, vllm: createVllmBackend, ollama: createOllamaBackend };

/** One per node of the config, in its order; nothing is connected yet. Connections end when the last node is closed. */
export function openProxyNodes(config: ProxyConfig, options: ProxyNodesOptions = {}): PoolNode[] {
  const { provider, nodes, fxnId, timeouts, allowAddresses } = config;
  const create = CREATE[provider];
  const guarded = options.fetch ? null : createGuardedFetch({ allowAddresses, connectMs: timeouts.connect });
  const proxyOptions = { ...options, ...(guarded && { fetch: guarded.fetch }) };
  const open = new Set(nodes);
  return nodes.map((node, index) => {
    const backend = create({ ...node, ...(fxnId !== undefined && { fxnId }), timeouts }, proxyOptions);
    return {
      id: `proxy-${index + 1}`,
      name: new URL(node.url).host,
      backend: {
        ...backend,
        async close() {
          await backend.close();
          open.delete(node);
          if (open.size === 0) await guarded?.close();
        },
      },
      maxConcurrent: node.maxConcurrent,
      anyModel: node.modelNameAlias !== undefined,
    };
  });
}
