/**
 * vLLM (https://docs.vllm.ai/en/latest/serving/openai_compatible_server/). It speaks OpenAI's API, and its own parameters
 * (`min_p`, `top_k`, `structured_outputs`, `prompt_logprobs`, …) go through like all others; what differs is how it tells that it
 * is ready, and that it ignores what it does not know.
 */
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import { MAX_UPSTREAM_DRAIN_BYTES, UPSTREAM_PROBE_MS } from '../../config/limits.ts';
import type { Backend, ModelInfo, Readiness } from '../backend.ts';
import { serverRootUrl } from './api-url.ts';
import {
  createOpenAiProxy,
  NO_MODEL_LIST,
  type OpenAiProxyConfig,
  type ProbedProxy,
  type ProxyOptions,
} from './openai-proxy.ts';
import { parseJson } from './upstream-error.ts';

/** vLLM opens its port when the model is loaded, which takes minutes. */
const UNREACHABLE =
  'vLLM opens its port only when its model is loaded: wait for "Application startup complete" in its log, or check url in model_backend.yaml';

export function createVllmBackend(config: OpenAiProxyConfig, options: ProxyOptions = {}): Backend {
  let version: string | null = null;
  return createOpenAiProxy(
    {
      provider: 'vllm',
      unreachableRemedy: UNREACHABLE,
      countsStreams: true,
      checkRequest: (body) => refuseGuided(body, version),
      async readiness(proxy, signal) {
        const readiness = await readinessOf(proxy, signal);
        if (readiness.ready) version = (await versionOf(proxy, signal)) ?? version;
        return readiness;
      },
    },
    config,
    options,
  );
}

async function readinessOf(proxy: ProbedProxy, signal: AbortSignal): Promise<Readiness> {
  const { config, upstream, served } = proxy;
  const notReady = (detail: string): Readiness => ({ ready: false, detail });
  try {
    // A gateway in front of vLLM may pass on nothing but /v1.
    const health = await upstream.request(beside(config.url, '/health'), signal);
    await health.text(MAX_UPSTREAM_DRAIN_BYTES);
    if (health.status >= 500) {
      return notReady(
        `vLLM says that it is not healthy (${health.status}): its engine has failed or still starts; look at its log`,
      );
    }
    const models = await served(signal);
    if (models === null) throw upstream.failed(NO_MODEL_LIST);
    const names = models.map(({ id }) => id);
    const alias = config.modelNameAlias;
    if (names.length === 0) return notReady('vLLM serves no model; look at its log');
    if (alias !== undefined && !names.includes(alias)) {
      return notReady(
        `vLLM serves ${names.join(', ')}, and not "${alias}"; correct model_name_alias, or start vLLM with --served-model-name`,
      );
    }
    return { ready: true, detail: `vLLM serves ${models.map(described).join(', ')}` };
  } catch (thrown) {
    return notReady(ShoalError.from(thrown, 'BACKEND_FAILED').message);
  }
}

/** @returns null where it cannot be told */
async function versionOf({ config, upstream }: ProbedProxy, signal: AbortSignal): Promise<string | null> {
  try {
    const answer = await upstream.request(beside(config.url, '/version'), signal);
    const value = parseJson((await answer.text(MAX_UPSTREAM_DRAIN_BYTES)) ?? '');
    return isObject(value) && typeof value.version === 'string' ? value.version.slice(0, 64) : null;
  } catch {
    return null;
  }
}

/** At the server's root, where vLLM asks for no key. */
const beside = (url: string, path: string) => ({
  path: `${serverRootUrl(url)}${path}`,
  accept: 'application/json' as const,
  deadlineMs: UPSTREAM_PROBE_MS,
});

/** Removed in 0.12 (https://docs.vllm.ai/en/latest/features/structured_outputs/); since then it ignores them, like any key that it does not know. */
const GUIDED = {
  guided_json: 'json',
  guided_regex: 'regex',
  guided_choice: 'choice',
  guided_grammar: 'grammar',
  guided_whitespace_pattern: 'whitespace_pattern',
};

function refuseGuided(body: Readonly<Record<string, unknown>>, version: string | null): void {
  const [major = 0, minor = 0] = (version ?? '').split('.').map((part) => Number.parseInt(part, 10));
  if (version === null || !(major > 0 || minor >= 12)) return;
  for (const [param, key] of Object.entries(GUIDED)) {
    if (body[param] === undefined || body[param] === null) continue;
    throw new ShoalError(
      'UNSUPPORTED_PARAMETER',
      `${param} is ignored by vLLM ${version}; send structured_outputs: {"${key}": …} instead`,
      { param },
    );
  }
}

const described = ({ id, details: { contextLength } = {} }: ModelInfo) =>
  contextLength === undefined ? id : `${id} (context of ${contextLength} tokens)`;
