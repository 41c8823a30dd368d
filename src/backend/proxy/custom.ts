/** Any OpenAI-compatible server, taken as it is. */
import { ShoalError } from '../../config/errors.ts';
import type { Backend, Readiness } from '../backend.ts';
import {
  createOpenAiProxy,
  NO_MODEL_LIST,
  type OpenAiProxyConfig,
  type ProbedProxy,
  type ProxyKind,
  type ProxyOptions,
} from './openai-proxy.ts';

const CUSTOM: ProxyKind = { provider: 'custom', readiness };

export function createCustomBackend(config: OpenAiProxyConfig, options: ProxyOptions = {}): Backend {
  return createOpenAiProxy(CUSTOM, config, options);
}

async function readiness({ config, upstream, served }: ProbedProxy, signal: AbortSignal): Promise<Readiness> {
  try {
    const models = await served(signal);
    if (models === null) {
      const { modelNameAlias } = config;
      if (modelNameAlias === undefined) throw upstream.failed(NO_MODEL_LIST);
      return {
        ready: true,
        detail: `forwarding to ${modelNameAlias} of a custom backend, which has no list of models`,
      };
    }
    const names = models.map(({ id }) => id);
    return {
      ready: true,
      detail: `forwarding to a custom backend that serves ${names.slice(0, 3).join(', ') || 'no model'}`,
    };
  } catch (thrown) {
    return { ready: false, detail: ShoalError.from(thrown, 'BACKEND_FAILED').message };
  }
}
