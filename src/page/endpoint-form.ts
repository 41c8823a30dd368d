/** The form of the page's custom mode: the fields of model_backend.yaml, read by the same schema. */
import type { ProxyConfig } from '../config/backend-config.ts';
import { readBackendFields } from '../config/backend-reading.ts';

export interface EndpointForm {
  readonly provider: ProxyConfig['provider'];
  /** Empty: where the provider listens unless told otherwise. */
  readonly url: string;
  readonly key: string;
  /** Empty: all that the endpoint serves, under its own names. */
  readonly model: string;
  /** The name that clients see instead of `model`'s; empty: the same. */
  readonly alias: string;
  readonly maxConcurrent: string;
}

export type FormField = 'url' | 'key' | 'model' | 'alias' | 'maxConcurrent';

export type FormReading =
  | { readonly config: ProxyConfig; readonly faults: null }
  | { readonly config: null; readonly faults: Readonly<Partial<Record<FormField, string>>> };

/** A browser opens at most six connections to one http server; two are left for lists and checks. */
const PAGE_CONCURRENT = 4;

export const EMPTY_FORM: EndpointForm = {
  provider: 'ollama',
  url: '',
  key: '',
  model: '',
  alias: '',
  maxConcurrent: String(PAGE_CONCURRENT),
};

export const URL_HINTS = {
  custom: 'http://127.0.0.1:8080',
  vllm: 'http://localhost:8000',
  ollama: 'http://localhost:11434',
} as const satisfies Record<ProxyConfig['provider'], string>;

const FIELD_OF: Record<string, FormField> = {
  url: 'url',
  bearer_token: 'key',
  model_name_alias: 'model',
  fxn_id: 'alias',
  max_concurrent: 'maxConcurrent',
};

export function readForm(form: EndpointForm): FormReading {
  const { config, faults } = readBackendFields({
    backend_provider: form.provider,
    ...given('url', form.url.trim()),
    // As a bearer token alone: `x-api-key` is a header that few servers let a page send.
    ...given('bearer_token', form.key.trim()),
    ...given('model_name_alias', form.model),
    ...(form.model !== '' && given('fxn_id', form.alias.trim() || form.model)),
    ...given('max_concurrent', form.maxConcurrent.trim()),
    // The check says of every address elsewhere that a page cannot lend it; it is not that nobody allowed it.
    allow_addresses: ['0.0.0.0/0', '::/0'],
  });
  if (config !== null && config.provider !== 'fxn') return { config, faults: null };
  // The schema's own words for an address that is not there are those of the file.
  const sentence = (path: string, message: string) =>
    path === 'url' && form.url.trim() === ''
      ? `give its address, such as ${URL_HINTS[form.provider]}`
      : message;
  const messages = faults.map(
    ({ path, message }) => [FIELD_OF[path] ?? 'url', sentence(path, message)] as const,
  );
  return { config: null, faults: Object.fromEntries(messages) };
}

const given = (key: string, value: string) => (value === '' ? {} : { [key]: value });
