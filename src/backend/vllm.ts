/**
 * vLLM (https://docs.vllm.ai/en/latest/serving/openai_compatible_server/). It speaks OpenAI's API, and its own parameters
 * (`min_p`, `top_k`, `structured_outputs`, `guided_*` before 0.12, `prompt_logprobs`, …) go through like all others; what differs
 * is how it tells that it is ready.
 */
import { ShoalError } from '../config/errors.ts';
import { UPSTREAM_PROBE_MS } from '../config/limits.ts';
import { serverRootUrl } from './api-url.ts';
import type { Backend, Readiness } from './backend.ts';
import {
  createOpenAiProxy,
  type OpenAiProxyConfig,
  type ProbedProxy,
  type ProxyKind,
  type ProxyOptions,
  type ServedModel,
} from './openai-proxy.ts';

const VLLM: ProxyKind = {
  provider: 'vllm',
  // It opens its port when the model is loaded, which takes minutes.
  unreachableRemedy:
    'vLLM opens its port only when its model is loaded: wait for "Application startup complete" in its log, or check url in model_backend.yaml',
  readiness,
};

export function createVllmBackend(config: OpenAiProxyConfig, options: ProxyOptions = {}): Backend {
  return createOpenAiProxy(VLLM, config, options);
}

async function readiness(proxy: ProbedProxy, signal: AbortSignal): Promise<Readiness> {
  const { config, upstream, served } = proxy;
  const notReady = (detail: string): Readiness => ({ ready: false, detail });
  try {
    // At the server's root, beside /v1, and without a key. A gateway in front of vLLM may not pass it on.
    const health = await upstream.request(
      {
        path: `${serverRootUrl(config.url)}/health`,
        accept: 'application/json',
        deadlineMs: UPSTREAM_PROBE_MS,
      },
      signal,
    );
    health.discard();
    if (health.status >= 500) {
      return notReady(
        `vLLM says that it is not healthy (${health.status}): its engine has failed or still starts; look at its log`,
      );
    }
    const models = await served(signal);
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

const described = ({ id, contextLength }: ServedModel) =>
  contextLength === null ? id : `${id} (context of ${contextLength} tokens)`;
