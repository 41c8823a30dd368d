/** Why a page cannot use an endpoint on its own machine, and what changes that; for people. */
import type { ProxyConfig } from '../config/backend-config.ts';

export type EndpointProblem =
  /** It answers, and does not let pages of this origin read the answer. */
  | { readonly kind: 'cors' }
  | { readonly kind: 'unreachable' }
  /** Chrome's Local Network Access (from 142 on) was refused for this page. */
  | { readonly kind: 'permission' }
  /** http from another machine: browsers grant such a page nothing on this device. */
  | { readonly kind: 'insecure-page' }
  /** Safari takes an http endpoint for mixed content on an https page, loopback or not. */
  | { readonly kind: 'mixed-content' }
  /** The page's own content security policy lets it reach this device alone. */
  | { readonly kind: 'elsewhere' }
  /** It is the server of this page. */
  | { readonly kind: 'own-server' }
  /** It was reached, and said something else than its models. */
  | { readonly kind: 'answer'; readonly message: string };

export interface ProblemText {
  readonly what: string;
  readonly remedies: readonly { readonly text: string; readonly command?: string }[];
}

export function describeProblem(
  problem: EndpointProblem,
  provider: ProxyConfig['provider'],
  url: string,
  pageOrigin: string,
): ProblemText {
  const { origin } = new URL(url);
  switch (problem.kind) {
    case 'cors':
      return {
        what: `${origin} answers, but does not allow this page (${pageOrigin}) to read its answers (CORS).`,
        remedies: corsRemedies(provider, pageOrigin),
      };
    case 'unreachable':
      return {
        what: `Nothing answers at ${origin}. Is it running there?`,
        remedies: startRemedies(provider),
      };
    case 'permission':
      return {
        what: 'The browser was told not to let this page reach programs on this device.',
        remedies: [
          {
            text: 'Press the icon left of the address, allow “Local network access” (in newer versions “Apps on device”) under the site’s settings, reload the page, and check again.',
          },
        ],
      };
    case 'insecure-page':
      return {
        what: 'This page came over http from another machine, and browsers do not let such a page reach programs on this device.',
        remedies: [
          {
            text: 'Open it over https (the server’s --tls-self-signed), or lend the endpoint without a page:',
          },
          workerRemedy(pageOrigin),
        ],
      };
    case 'mixed-content':
      return {
        what: 'Safari does not let a page that came over https reach an http endpoint, even on this device.',
        remedies: [
          { text: 'Use Chrome, Edge or Firefox, or lend it without a page:' },
          workerRemedy(pageOrigin),
        ],
      };
    case 'elsewhere':
      return {
        what: `This page may reach localhost and 127.0.0.1 only, and ${new URL(url).hostname} is neither.`,
        remedies: [
          { text: 'An endpoint on another machine is lent from a terminal:' },
          workerRemedy(pageOrigin),
        ],
      };
    case 'own-server':
      return {
        what: `${origin} is the server that it would be lent to, so each request would come back to it.`,
        remedies: [{ text: 'Give the address of a model server.' }],
      };
    case 'answer':
      return { what: problem.message, remedies: [] };
    default:
      return problem satisfies never;
  }
}

const workerRemedy = (pageOrigin: string) => ({
  text: '',
  command: `shoal worker --config model_backend.yaml --server ${pageOrigin}`,
});

function corsRemedies(provider: ProxyConfig['provider'], origin: string): ProblemText['remedies'] {
  switch (provider) {
    case 'ollama':
      return [
        { text: 'Start Ollama so that it does:', command: `OLLAMA_ORIGINS=${origin} ollama serve` },
        {
          text: 'For the desktop app or a service, set that variable in its environment and start it again.',
        },
      ];
    case 'vllm':
      return [
        {
          text: 'Start vLLM so that it does:',
          command: `vllm serve MODEL --allowed-origins '["${origin}"]'`,
        },
      ];
    case 'custom':
      return [
        { text: 'With llama.cpp:', command: `llama-server --cors-origins ${origin}` },
        { text: 'With LM Studio:', command: 'lms server start --cors' },
        {
          text: 'Any other server must send this header, and answer the browser’s OPTIONS request with it too:',
          command: `Access-Control-Allow-Origin: ${origin}`,
        },
      ];
    default:
      return provider satisfies never;
  }
}

function startRemedies(provider: ProxyConfig['provider']): ProblemText['remedies'] {
  switch (provider) {
    case 'ollama':
      return [{ text: 'Start it:', command: 'ollama serve' }];
    case 'vllm':
      return [{ text: 'Start it:', command: 'vllm serve MODEL' }];
    case 'custom':
      return [];
    default:
      return provider satisfies never;
  }
}
