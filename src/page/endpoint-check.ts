/** Asks an endpoint on this machine for its models, and finds out what is in the way where the browser tells nothing. */
import type { Backend } from '../backend/backend.ts';
import { createOllamaBackend } from '../backend/ollama/ollama.ts';
import { createCustomBackend } from '../backend/proxy/custom.ts';
import { createVllmBackend } from '../backend/proxy/vllm.ts';
import type { ProxyConfig } from '../config/backend-config.ts';
import { ShoalError } from '../config/errors.ts';
import { UPSTREAM_PROBE_MS } from '../config/limits.ts';
import { leadsBack } from '../worker/leads-back.ts';
import type { EndpointProblem } from './endpoint-problem.ts';

/** What a check takes from the browser; tests pass their own. */
export interface EndpointEnvironment {
  readonly fetch: typeof fetch;
  readonly isSecureContext: boolean;
  readonly pageOrigin: string;
  /** Safari's engine. */
  readonly isWebKit: boolean;
  /** `denied`, or anything else; null where the browser knows no such permission. */
  readonly loopbackPermission: () => Promise<string | null>;
}

export type EndpointCheck =
  | { readonly ok: true; readonly models: readonly string[] }
  | { readonly ok: false; readonly problem: EndpointProblem };

/** Those that src/server/http/security-headers.ts lets the page connect to. */
const REACHABLE_HOSTS = new Set(['localhost', '127.0.0.1']);

export function openEndpoint(config: ProxyConfig, request: typeof fetch): Backend {
  const { nodes, provider, fxnId, timeouts } = config;
  const node = { ...nodes[0], ...(fxnId !== undefined && { fxnId }), timeouts };
  switch (provider) {
    case 'custom':
      return createCustomBackend(node, { fetch: request });
    case 'vllm':
      return createVllmBackend(node, { fetch: request });
    case 'ollama':
      return createOllamaBackend(node, { fetch: request });
    default:
      return provider satisfies never;
  }
}

/** @param config an alias is left out: all that the endpoint serves is listed */
export async function checkEndpoint(
  config: ProxyConfig,
  environment: EndpointEnvironment,
  signal: AbortSignal,
): Promise<EndpointCheck> {
  const [{ modelNameAlias: _alias, ...node }] = config.nodes;
  const { hostname } = new URL(node.url);
  if (!REACHABLE_HOSTS.has(hostname)) return { ok: false, problem: { kind: 'elsewhere' } };
  if (leadsBack(node.url, environment.pageOrigin)) return { ok: false, problem: { kind: 'own-server' } };
  let isBlocked = false;
  const preflighted: typeof fetch = async (input, init) => {
    try {
      // A type that only JSON requests have makes the browser ask first (OPTIONS), as it will for every chat.
      const headers = { ...(init?.headers as Record<string, string>), 'content-type': 'application/json' };
      return await environment.fetch.call(undefined, input, { ...init, headers });
    } catch (thrown) {
      isBlocked ||= thrown instanceof TypeError;
      throw thrown;
    }
  };
  if ((await environment.loopbackPermission()) === 'prompt') {
    // The browser asks the person now, who may take longer than the list of models may.
    await knock(node.url, environment, signal);
  }
  const backend = openEndpoint({ ...config, nodes: [node] }, preflighted);
  try {
    const models = await backend.models(signal);
    return { ok: true, models: models.map(({ id }) => id) };
  } catch (thrown) {
    if (isBlocked) return { ok: false, problem: await diagnose(node.url, environment, signal) };
    const message = ShoalError.from(thrown).message.replaceAll(' in model_backend.yaml', '');
    return { ok: false, problem: { kind: 'answer', message } };
  } finally {
    await backend.close();
  }
}

/** A blocked fetch says "Failed to fetch" and no more, so that pages cannot scan networks. */
async function diagnose(
  url: string,
  environment: EndpointEnvironment,
  signal: AbortSignal,
): Promise<EndpointProblem> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(UPSTREAM_PROBE_MS)]);
  if (await knock(url, environment, limit)) return { kind: 'cors' };
  if (!environment.isSecureContext) return { kind: 'insecure-page' };
  if ((await environment.loopbackPermission()) === 'denied') return { kind: 'permission' };
  const isMixed = environment.pageOrigin.startsWith('https:') && url.startsWith('http:');
  return { kind: isMixed && environment.isWebKit ? 'mixed-content' : 'unreachable' };
}

/** Whether anybody answers: what CORS hides can still be sent, and comes back opaque. */
async function knock(url: string, { fetch }: EndpointEnvironment, signal: AbortSignal): Promise<boolean> {
  try {
    await fetch.call(undefined, url, { mode: 'no-cors', cache: 'no-store', signal });
    return true;
  } catch {
    return false;
  }
}

export function browserEndpointEnvironment(): EndpointEnvironment {
  return {
    fetch: (...request) => fetch(...request),
    isSecureContext: globalThis.isSecureContext,
    pageOrigin: location.origin,
    isWebKit: navigator.vendor.startsWith('Apple'),
    loopbackPermission,
  };
}

/** Chrome 145 split `local-network-access` of 142; others throw on names that they do not know. */
async function loopbackPermission(): Promise<string | null> {
  for (const name of ['loopback-network', 'local-network-access']) {
    try {
      return (await navigator.permissions.query({ name: name as PermissionName })).state;
    } catch {
      // The next name.
    }
  }
  return null;
}
