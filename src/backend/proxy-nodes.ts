/** The nodes of a pool that model_backend.yaml names. */

import type { NodeConfig, ProxyConfig, Timeouts } from '../config/backend-config.ts';
import { ShoalError } from '../config/errors.ts';
import type { Backend } from './backend.ts';
import type { Clock } from './clock.ts';
import { createCustomBackend } from './custom.ts';
import type { PoolNode } from './node-pool.ts';

export interface ProxyNodesOptions {
  /** Default: a fetch that refuses private addresses, except those that the config allows. */
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
}

type CreateBackend = (
  config: NodeConfig & { fxnId?: string; timeouts: Timeouts },
  options: ProxyNodesOptions,
) => Backend;

/** One per node of the config, in its order; nothing is connected yet. */
export function openProxyNodes(config: ProxyConfig, options: ProxyNodesOptions = {}): PoolNode[] {
  const create = creatorOf(config.provider);
  return config.nodes.map((node, index) => ({
    id: `proxy-${index + 1}`,
    name: new URL(node.url).host,
    backend: create(
      { ...node, ...(config.fxnId !== undefined && { fxnId: config.fxnId }), timeouts: config.timeouts },
      options,
    ),
    maxConcurrent: node.maxConcurrent,
    anyModel: node.modelNameAlias !== undefined,
  }));
}

function creatorOf(provider: ProxyConfig['provider']): CreateBackend {
  switch (provider) {
    case 'custom':
      return createCustomBackend;
    case 'vllm':
    case 'ollama':
      throw new ShoalError(
        'CONFIG_INVALID',
        `backend_provider "${provider}" comes with a later version; today use "custom" with the url of its OpenAI-compatible API, or "fxn"`,
        { param: 'backend_provider' },
      );
    default:
      return provider satisfies never;
  }
}
