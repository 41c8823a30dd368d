import type { ModelBackendConfig } from '../config/backend-config.ts';
import { ShoalError } from '../config/errors.ts';
import type { Backend } from './backend.ts';
import { type CustomBackendOptions, createCustomBackend } from './custom.ts';

/**
 * The backend that model_backend.yaml names.
 *
 * @param startFxn starts the native engine; called only for `fxn`
 * @throws CONFIG_INVALID for providers that come with a later version
 */
export async function chooseBackend(
  config: ModelBackendConfig,
  startFxn: () => Backend | Promise<Backend>,
  options: CustomBackendOptions = {},
): Promise<Backend> {
  switch (config.provider) {
    case 'fxn':
      return startFxn();
    case 'custom':
      return createCustomBackend(
        { ...config.nodes[0], ...(config.fxnId !== undefined && { fxnId: config.fxnId }) },
        options,
      );
    case 'vllm':
    case 'ollama':
      throw new ShoalError(
        'CONFIG_INVALID',
        `backend_provider "${config.provider}" comes with a later version; today use "custom" with the url of its OpenAI-compatible API, or "fxn"`,
        { param: 'backend_provider' },
      );
    default:
      return config satisfies never;
  }
}
