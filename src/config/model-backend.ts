/** model_backend.yaml: which backend answers a node's API. The commented template is model_backend.yaml.example. */
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { type ModelBackendConfig, type NodeConfig, PROVIDERS } from './backend-config.ts';
import { ShoalError } from './errors.ts';
import {
  MAX_CONCURRENT_REQUESTS,
  MAX_CONFIG_BYTES,
  MAX_MODEL_NAME_CHARS,
  UPSTREAM_CONNECT_MS,
  UPSTREAM_HEADERS_MS,
  UPSTREAM_IDLE_MS,
} from './limits.ts';
import { didYouMean } from './nearest.ts';
import { Secret } from './secret.ts';
import { yamlReason } from './yaml-reason.ts';

const text = z.string('must be text; put it in quotes').min(1, 'must not be empty');
/** Goes into a header: no spaces, no control characters, no quotes left over from pasting. */
const secret = text
  .regex(/^[!-~]+$/, 'must be printable ASCII without spaces')
  .transform((value) => new Secret(value));

const FIELDS = {
  backend_provider: z.enum(PROVIDERS, `must be one of ${PROVIDERS.join(', ')}`),
  url: text.transform(checkedUrl),
  fxn_id: z.union(
    [text, z.number().int().nonnegative().transform(String)],
    'must be a text or a whole number',
  ),
  api_key: secret,
  bearer_token: secret,
  model_name_alias: text.max(MAX_MODEL_NAME_CHARS, `must have at most ${MAX_MODEL_NAME_CHARS} characters`),
};

type Key = keyof typeof FIELDS;
type Values = { -readonly [K in Key]?: z.output<(typeof FIELDS)[K]> };

const camel = (key: string) => key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
const KEYS = Object.keys(FIELDS) as Key[];
/** Both spellings of Function Network's documentation. */
const SPELLINGS = new Map<string, Key>(
  KEYS.flatMap((key) => [
    [key, key],
    [camel(key), key],
  ]),
);

/**
 * @param file the name shown in errors
 * @throws CONFIG_INVALID with one `file:line:column: key: reason` line per fault, all of them at once
 */
export function parseModelBackend(source: string, file: string): ModelBackendConfig {
  const faults = new Faults(file);
  if (Buffer.byteLength(source) > MAX_CONFIG_BYTES) {
    faults.add(
      0,
      '',
      `${Buffer.byteLength(source)} bytes, and at most ${MAX_CONFIG_BYTES} are read; is this the right file?`,
    );
    throw faults.error();
  }
  // prettyErrors quote the source line, and that line may hold a key.
  const document = parseDocument(source, {
    lineCounter: faults.lines,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: 'error',
  });
  for (const problem of [...document.errors, ...document.warnings]) {
    faults.add(problem.pos[0], '', yamlReason(problem.code));
  }
  const root = document.contents;
  if (isMap(root)) {
    const values = readFields(root as YAMLMap<Node, Node | null>, faults);
    faults.throwIfAny();
    return toConfig(values);
  }
  if (root !== null && !(isScalar(root) && root.value === null)) {
    faults.add(
      root.range?.[0] ?? 0,
      '',
      `must be a list of "key: value" lines, such as backend_provider: "fxn"`,
    );
  }
  faults.throwIfAny();
  return { provider: 'fxn' };
}

function readFields(root: YAMLMap<Node, Node | null>, faults: Faults): Values {
  const values: Values = {};
  const seen = new Map<Key, { readonly name: string; readonly offset: number }>();
  for (const { key: keyNode, value: node } of root.items) {
    const offset = keyNode.range?.[0] ?? 0;
    const name = isScalar(keyNode) ? String(keyNode.value) : '';
    const key = SPELLINGS.get(name);
    if (key === undefined) {
      faults.add(
        offset,
        name,
        `unknown key${didYouMean(name, SPELLINGS.keys()) || `; known are ${KEYS.join(', ')}`}`,
      );
      continue;
    }
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      const as = earlier.name === name ? '' : ` as ${earlier.name}`;
      faults.add(offset, name, `given already${as} on line ${faults.line(earlier.offset)}; keep one`);
      continue;
    }
    seen.set(key, { name, offset });
    readValue(key, name, node, node?.range?.[0] ?? offset, values, faults);
  }
  if (values.backend_provider === 'custom' && !seen.has('url')) {
    faults.add(
      seen.get('backend_provider')!.offset,
      'url',
      'is required for backend_provider "custom", such as "http://127.0.0.1:8082"',
    );
  }
  return values;
}

function readValue(
  key: Key,
  name: string,
  node: Node | null,
  offset: number,
  values: Values,
  faults: Faults,
): void {
  const raw = isScalar(node) ? node.value : node;
  if (raw === null) {
    if (key === 'url' || key === 'backend_provider') faults.add(offset, name, 'has no value');
    return;
  }
  const result = FIELDS[key].safeParse(raw);
  if (result.success) Object.assign(values, { [key]: result.data });
  else for (const issue of result.error.issues) faults.add(offset, name, issue.message);
}

/** Where vLLM and Ollama listen unless told otherwise. */
const DEFAULT_URLS = { vllm: 'http://localhost:8000', ollama: 'http://localhost:11434' } as const;

function toConfig(values: Values): ModelBackendConfig {
  const provider = values.backend_provider ?? 'fxn';
  const fxnId = values.fxn_id !== undefined && { fxnId: values.fxn_id };
  if (provider === 'fxn') return { provider, ...fxnId };
  const node: NodeConfig = {
    url: values.url ?? (provider === 'custom' ? '' : DEFAULT_URLS[provider]),
    ...(values.api_key !== undefined && { apiKey: values.api_key }),
    ...(values.bearer_token !== undefined && { bearerToken: values.bearer_token }),
    ...(values.model_name_alias !== undefined && { modelNameAlias: values.model_name_alias }),
    maxConcurrent: MAX_CONCURRENT_REQUESTS,
  };
  return {
    provider,
    ...fxnId,
    nodes: [node],
    allowAddresses: [],
    timeouts: { connect: UPSTREAM_CONNECT_MS, firstByte: UPSTREAM_HEADERS_MS, idle: UPSTREAM_IDLE_MS },
  };
}

/** The URL without trailing slashes; the reason for a refusal never repeats it, for it may hold a password. */
function checkedUrl(value: string, context: z.RefinementCtx): string {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return refuse('must be an http:// or https:// address, such as "http://127.0.0.1:8082"');
  }
  if (url.username !== '' || url.password !== '') {
    return refuse('must not hold a user name or password; use api_key or bearer_token');
  }
  if (/[?#]/.test(value)) return refuse('must not have a query or a fragment; end it after the path');
  return url.href.replace(/\/+$/, '');
}

class Faults {
  readonly lines = new LineCounter();
  readonly #found: { readonly offset: number; readonly text: string }[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** @param key empty when the fault lies outside any key */
  add(offset: number, key: string, reason: string): void {
    const { line, col } = this.lines.linePos(offset);
    const where = `${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
    this.#found.push({ offset, text: `${where}: ${key === '' ? '' : `${key.slice(0, 64)}: `}${reason}` });
  }

  line(offset: number): number {
    return this.lines.linePos(offset).line;
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw this.error();
  }

  error(): ShoalError {
    const inOrder = this.#found.toSorted((a, b) => a.offset - b.offset).map(({ text }) => text);
    return new ShoalError('CONFIG_INVALID', inOrder.join('\n'));
  }
}
