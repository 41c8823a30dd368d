/** Where an OpenAI-compatible server has its API, from the many ways in which people write its address. */

/** `/v1`, `/v4`, `/v1beta`; Google has its compatible API one below: `/v1beta/openai`. */
const ENDS_IN_VERSION = /\/v\d+[a-z0-9]*(\/openai)?$/i;
/** Somebody pasted the address of a whole endpoint. */
const ENDPOINT = /\/(chat\/completions|completions|models)$/;

/** `https://host/prefix` → `https://host/prefix/v1`; what ends in a version stays. Without trailing slash. */
export function openAiApiUrl(url: string): string {
  const base = url.replace(/\/+$/, '');
  const path = new URL(base).pathname;
  if (ENDS_IN_VERSION.test(path)) return base;
  const withoutEndpoint = base.replace(ENDPOINT, '');
  if (withoutEndpoint !== base && ENDS_IN_VERSION.test(new URL(withoutEndpoint).pathname)) {
    return withoutEndpoint;
  }
  return `${base}/v1`;
}

/** What lies beside the API, such as vLLM's `/health`: the address without its `/v1`. */
export function serverRootUrl(url: string): string {
  return openAiApiUrl(url).replace(ENDS_IN_VERSION, '');
}
