/** What model_backend.yaml says once it is read and checked; the page's form makes the same. For Node and browsers. */
import type { MeshSettings } from './mesh-fields.ts';
import type { Secret } from './secret.ts';

export const PROVIDERS = ['fxn', 'custom', 'vllm', 'ollama'] as const;
export type Provider = (typeof PROVIDERS)[number];

export type ModelBackendConfig = FxnConfig | ProxyConfig;

export interface FxnConfig extends MeshSettings {
  readonly provider: 'fxn';
  /** A catalogue id or a directory in Hugging Face layout; absent: the embedded model. */
  readonly fxnId?: string;
}

export interface ProxyConfig {
  readonly provider: Exclude<Provider, 'fxn'>;
  /** The name that clients see, where a node has an alias. */
  readonly fxnId?: string;
  /** Several nodes serve the same model; requests are routed between them. */
  readonly nodes: readonly [NodeConfig, ...NodeConfig[]];
  /** Private addresses (`10.0.0.5`, `192.168.0.0/16`, `fd00::/8`) that a node's name may lead to. Loopback written as such in a url is allowed by being written. */
  readonly allowAddresses: readonly string[];
  readonly timeouts: Timeouts;
}

/** One server that a proxy forwards to. */
export interface NodeConfig {
  /** http(s), without credentials, query and trailing slash. */
  readonly url: string;
  /** Sent as `x-api-key`, and as bearer where there is no bearer token. */
  readonly apiKey?: Secret;
  readonly bearerToken?: Secret;
  /** The node's own name for the model: every request goes to it, and answers carry the client's name. */
  readonly modelNameAlias?: string;
  /** Requests at once; what comes beyond goes to another node, or is refused with 429. */
  readonly maxConcurrent: number;
}

/** Milliseconds. */
export interface Timeouts {
  readonly connect: number;
  /** From sending the request to the first event of a stream; a whole answer, whose headers come last, may take UPSTREAM_ANSWER_MS. */
  readonly firstByte: number;
  /** Silence within a body. */
  readonly idle: number;
}
