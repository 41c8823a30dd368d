/** From the fields of model_backend.yaml, or of the page's form, to what they mean together. For Node and browsers. */
import type { z } from 'zod';
import { classifyAddress, literalAddress, matchesCidr } from './addresses.ts';
import type { ModelBackendConfig, NodeConfig, Provider, ProxyConfig } from './backend-config.ts';
import { ALLOW_ADDRESS, NODE_FIELDS, TIMEOUT_FIELDS, TOP_FIELDS } from './backend-fields.ts';
import type { FieldNote } from './field-note.ts';
import {
  DEFAULT_NODE_CONCURRENT,
  MAX_ALLOW_ADDRESSES,
  MAX_NODES,
  UPSTREAM_CONNECT_MS,
  UPSTREAM_HEADERS_MS,
  UPSTREAM_IDLE_MS,
} from './limits.ts';
import { MESH_FIELDS, MESH_KEYS, meshSettingsOf } from './mesh-fields.ts';

export interface BackendReading {
  /** Null exactly when there are faults. */
  readonly config: ModelBackendConfig | null;
  readonly faults: readonly FieldNote[];
  /** What has no effect, or is unwise. */
  readonly warnings: readonly FieldNote[];
}

type Fields = Readonly<Record<string, z.ZodType>>;
type Read<F extends Fields> = { -readonly [K in keyof F]?: z.output<F[K]> };
type NodeFields = Read<typeof NODE_FIELDS>;

/** Where vLLM and Ollama listen unless told otherwise. */
const DEFAULT_URLS = { vllm: 'http://localhost:8000', ollama: 'http://localhost:11434' } as const;

const PROXY_KEYS = [...Object.keys(NODE_FIELDS), 'nodes', 'allow_addresses', 'timeout_seconds'];

/** @param input keys in snake_case, values not yet checked; `null` and absent are the same */
export function readBackendFields(input: Readonly<Record<string, unknown>>): BackendReading {
  const faults: FieldNote[] = [];
  const top = readFields(TOP_FIELDS, input, '', faults);
  const provider = top.backend_provider ?? 'fxn';
  const meshFields = readFields(MESH_FIELDS, input, '', faults);
  const mesh = meshSettingsOf(meshFields, asList(input.turn_urls), faults);
  const timeouts = readFields(TIMEOUT_FIELDS, asMap(input.timeout_seconds), 'timeout_seconds', faults);
  const allowAddresses = readAllowed(asList(input.allow_addresses), faults);
  const entries = asList(input.nodes).map((node, index) =>
    readFields(NODE_FIELDS, asMap(node), `nodes.${index}`, faults),
  );
  if (input.nodes === null || (Array.isArray(input.nodes) && entries.length === 0)) {
    faults.push({ path: 'nodes', message: 'has no entry; give each node a url, or leave the key out' });
  }
  if (entries.length > MAX_NODES) {
    faults.push({ path: 'nodes', message: `has ${entries.length} entries, at most ${MAX_NODES} are served` });
  }
  if (provider === 'fxn') {
    const config =
      faults.length > 0
        ? null
        : { provider, ...(top.fxn_id !== undefined && { fxnId: top.fxn_id }), ...mesh };
    return { config, faults, warnings: withoutEffect(input, PROXY_KEYS, '"fxn", which forwards nothing') };
  }

  const given = input.nodes === undefined ? [input] : asList(input.nodes).map(asMap);
  const nodes = (input.nodes === undefined ? [top] : entries).map((entry) => nodeOf(provider, top, entry));
  const path = (index: number) => (input.nodes === undefined ? 'url' : `nodes.${index}.url`);
  const refused = new Set(faults.map((fault) => fault.path));
  const seen = new Map<string, number>();
  for (const [index, { url }] of nodes.entries()) {
    const isOwn = isSet(given[index]?.url);
    if (refused.has(isOwn ? path(index) : 'url') || refused.has(path(index))) continue;
    const earlier = seen.get(url);
    const message =
      earlier === undefined
        ? urlFault(url, provider, allowAddresses)
        : `is the same as that of nodes[${earlier}]; keep one, and raise its max_concurrent`;
    seen.set(url, earlier ?? index);
    if (message === null) continue;
    const at = path(index) === 'url' ? 'backend_provider' : path(index);
    faults.push({ path: path(index), message, ...(!isOwn && { at }) });
  }
  const [first, ...others] = nodes;
  if (faults.length > 0 || first === undefined) return { config: null, faults, warnings: [] };
  const config: ProxyConfig = {
    provider,
    ...(top.fxn_id !== undefined && { fxnId: top.fxn_id }),
    nodes: [first, ...others],
    allowAddresses,
    timeouts: {
      connect: timeouts.connect ?? UPSTREAM_CONNECT_MS,
      firstByte: timeouts.first_byte ?? UPSTREAM_HEADERS_MS,
      idle: timeouts.idle ?? UPSTREAM_IDLE_MS,
    },
  };
  return { config, faults, warnings: proxyWarnings(config, input, path) };
}

function readFields<F extends Fields>(
  fields: F,
  input: Readonly<Record<string, unknown>>,
  path: string,
  faults: FieldNote[],
): Read<F> {
  const values: Read<F> = {};
  for (const key of Object.keys(fields) as (keyof F & string)[]) {
    const raw = input[key];
    const at = path === '' ? key : `${path}.${key}`;
    if (raw === undefined) continue;
    if (raw === null) {
      if (key === 'url' || key === 'backend_provider') faults.push({ path: at, message: 'has no value' });
      continue;
    }
    const result = fields[key]!.safeParse(raw);
    if (result.success) values[key] = result.data as Read<F>[typeof key];
    else for (const { message } of result.error.issues.slice(0, 1)) faults.push({ path: at, message });
  }
  return values;
}

function readAllowed(entries: readonly unknown[], faults: FieldNote[]): string[] {
  if (entries.length > MAX_ALLOW_ADDRESSES) {
    const message = `has ${entries.length} entries, at most ${MAX_ALLOW_ADDRESSES} are checked; join them to ranges`;
    faults.push({ path: 'allow_addresses', message });
  }
  return entries.flatMap((entry, index) => {
    const result = ALLOW_ADDRESS.safeParse(entry);
    if (result.success) return [result.data];
    faults.push({
      path: `allow_addresses.${index}`,
      message: result.error.issues[0]?.message ?? 'is invalid',
    });
    return [];
  });
}

function nodeOf(provider: ProxyConfig['provider'], top: NodeFields, entry: NodeFields): NodeConfig {
  const apiKey = entry.api_key ?? top.api_key;
  const bearerToken = entry.bearer_token ?? top.bearer_token;
  const modelNameAlias = entry.model_name_alias ?? top.model_name_alias;
  return {
    url: entry.url ?? top.url ?? (provider === 'custom' ? '' : DEFAULT_URLS[provider]),
    ...(apiKey !== undefined && { apiKey }),
    ...(bearerToken !== undefined && { bearerToken }),
    ...(modelNameAlias !== undefined && { modelNameAlias }),
    maxConcurrent: entry.max_concurrent ?? top.max_concurrent ?? DEFAULT_NODE_CONCURRENT,
  };
}

function urlFault(url: string, provider: Provider, allowed: readonly string[]): string | null {
  if (url === '') return `is required for backend_provider "${provider}", such as "http://127.0.0.1:8082"`;
  const address = literalAddress(new URL(url).hostname);
  if (address === null || allowed.some((range) => matchesCidr(address, range))) return null;
  const kind = classifyAddress(address);
  if (kind === 'public' || kind === 'loopback') return null;
  if (kind === 'unspecified') {
    return `${address} is where a server listens, not where it is reached; write 127.0.0.1, or the machine's own address`;
  }
  const what =
    kind === 'metadata' ? 'a cloud metadata address, which hands out credentials' : `a ${kind} address`;
  return `${address} is ${what}; a proxy reaches it only when you say so: allow_addresses: ["${address}"]`;
}

function withoutEffect(
  input: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  withWhat: string,
): FieldNote[] {
  return keys
    .filter((key) => isSet(input[key]))
    .map((path) => ({ path, message: `has no effect with backend_provider ${withWhat}` }));
}

const isSet = (value: unknown) => value !== undefined && value !== null;

function proxyWarnings(
  { fxnId, nodes, provider }: ProxyConfig,
  input: Readonly<Record<string, unknown>>,
  path: (index: number) => string,
): FieldNote[] {
  const warnings = withoutEffect(input, MESH_KEYS, `"${provider}", which has no mesh`);
  if (
    isSet(input.url) &&
    input.nodes !== undefined &&
    asList(input.nodes).every((node) => isSet(asMap(node).url))
  ) {
    warnings.push({ path: 'url', message: 'has no effect: every node has a url of its own' });
  }
  if (fxnId !== undefined && nodes.every(({ modelNameAlias }) => modelNameAlias === undefined)) {
    const message = `has no effect with backend_provider "${provider}" without model_name_alias: clients use the backend's own names`;
    warnings.push({ path: 'fxn_id', message });
  }
  for (const [prefix, entry] of [
    ['', input] as const,
    ...asList(input.nodes).map((node, index) => [`nodes.${index}.`, asMap(node)] as const),
  ]) {
    for (const key of ['api_key', 'bearer_token']) {
      if (!SHELL_VARIABLE.test(String(entry[key] ?? ''))) continue;
      const message =
        'is sent as it stands here, with its "$"; a variable of the environment is written with braces: "$' +
        '{NAME}"';
      warnings.push({ path: `${prefix}${key}`, message });
    }
  }
  for (const [index, { url, apiKey, bearerToken }] of nodes.entries()) {
    if ((apiKey ?? bearerToken) === undefined || !url.startsWith('http:') || isLocal(new URL(url).hostname))
      continue;
    const message = 'is http, so the key crosses the network unencrypted; use https where the backend has it';
    warnings.push({ path: path(index), message });
  }
  return warnings;
}

/** What a shell would replace, and this file does not. */
const SHELL_VARIABLE = /^\$[A-Za-z_][A-Za-z0-9_]*$/;

function isLocal(hostname: string): boolean {
  const address = literalAddress(hostname);
  return address === null ? /(^|\.)localhost$/.test(hostname) : classifyAddress(address) === 'loopback';
}

const asMap = (value: unknown) =>
  (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}) as Readonly<
    Record<string, unknown>
  >;
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
