// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is the notation under test
import { describe, expect, it } from 'vitest';
import type { ProxyConfig } from '../../src/config/backend-config.ts';
import type { ShoalError } from '../../src/config/errors.ts';
import { MAX_ALLOW_ADDRESSES, MAX_NODE_CONCURRENT, MAX_NODES } from '../../src/config/limits.ts';
import { readModelBackend } from '../../src/config/model-backend.ts';

function proxy(source: string, env: NodeJS.ProcessEnv = {}): ProxyConfig {
  const { config } = readModelBackend(source, 'mb.yaml', env);
  if (config.provider === 'fxn') throw new Error('read as fxn');
  return config;
}

function faults(source: string, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    readModelBackend(source, 'mb.yaml', env);
  } catch (thrown) {
    return (thrown as ShoalError).message.split('\n');
  }
  throw new Error('read without a fault');
}

const warnings = (source: string) => readModelBackend(source, 'mb.yaml', {}).warnings;

const THREE = `
backend_provider: vllm
url: "https://gpu.example/v1/"
api_key: shared
model_name_alias: big
max_concurrent: 8
nodes:
  - max_concurrent: 2
  - url: "https://b.example"
    api_key: own
  - url: "https://c.example"
    modelNameAlias: small
`;

describe('nodes', () => {
  it('take from the top of the file what they do not say themselves', () => {
    const { nodes } = proxy(THREE);
    expect(nodes.map(({ url }) => url)).toEqual([
      'https://gpu.example/v1',
      'https://b.example',
      'https://c.example',
    ]);
    expect(nodes.map(({ apiKey }) => apiKey?.reveal())).toEqual(['shared', 'own', 'shared']);
    expect(nodes.map(({ modelNameAlias }) => modelNameAlias)).toEqual(['big', 'big', 'small']);
    expect(nodes.map(({ maxConcurrent }) => maxConcurrent)).toEqual([2, 8, 8]);
  });

  it('listen where vLLM and Ollama do, unless told otherwise, and take 1,024 requests', () => {
    expect(proxy('backend_provider: vllm').nodes).toEqual([
      { url: 'http://localhost:8000', maxConcurrent: 1024 },
    ]);
    expect(proxy('backend_provider: ollama').nodes[0].url).toBe('http://localhost:11434');
  });

  it.each([
    [
      'backend_provider: custom\nnodes:\n  - url: "http://a"\n  - api_key: x',
      'mb.yaml:4:5: nodes[1].url: is required',
    ],
    [
      'backend_provider: custom\nnodes:\n  - url: "http://a"\n  - url: "http://A/"',
      'mb.yaml:4:10: nodes[1].url: is the same as that of nodes[0]',
    ],
    [
      'backend_provider: vllm\nnodes: [{api_key: a}, {api_key: b}]',
      'mb.yaml:2:23: nodes[1].url: is the same as that of nodes[0]',
    ],
    ['backend_provider: vllm\nnodes: []', 'mb.yaml:2:8: nodes: has no entry'],
    ['backend_provider: vllm\nnodes:', 'mb.yaml:2:7: nodes: has no entry'],
    ['backend_provider: vllm\nnodes: x', 'mb.yaml:2:8: nodes: must be a list of nodes'],
    [
      'backend_provider: vllm\nnodes: ["http://a"]',
      'mb.yaml:2:9: nodes[0]: must be "key: value" lines, such as url:',
    ],
    [
      'backend_provider: vllm\nnodes:\n  - api_kye: "a"',
      'mb.yaml:3:5: nodes[0].api_kye: unknown key; did you mean api_key?',
    ],
    ['backend_provider: vllm\nnodes:\n  - apiKey: []', 'mb.yaml:3:13: nodes[0].apiKey: must be text'],
    [
      'backend_provider: vllm\nnodes:\n  - fxn_id: a',
      'mb.yaml:3:5: nodes[0].fxn_id: unknown key; known are url',
    ],
    [
      'max_concurrent: 0',
      `mb.yaml:1:17: max_concurrent: must be a whole number from 1 to ${MAX_NODE_CONCURRENT}`,
    ],
    ['max_concurrent: 5000', 'must be a whole number from 1'],
    ['max_concurrent: 1.5', 'must be a whole number from 1'],
    ['max_concurrent: many', 'must be a whole number from 1'],
    ['max_concurrent: ""', 'must be a whole number from 1'],
  ])('refuses %j', (source, reason) => {
    const found = faults(source);
    expect(found[0]).toContain(reason);
    expect(found).toHaveLength(1);
  });

  it('reports the faults of every node, and does not call two broken urls the same', () => {
    const found = faults('backend_provider: vllm\nnodes:\n  - url: nope\n  - url: nope\n  - api_key: ""');
    expect(found.map((line) => line.replace(/ must.*/, ''))).toEqual([
      'mb.yaml:3:10: nodes[0].url:',
      'mb.yaml:4:10: nodes[1].url:',
      'mb.yaml:5:14: nodes[2].api_key:',
    ]);
  });

  it('refuses more nodes than are served', () => {
    const list = Array.from({ length: MAX_NODES + 1 }, (_, index) => `  - url: "http://n${index}"`);
    expect(faults(`backend_provider: vllm\nnodes:\n${list.join('\n')}`)).toEqual([
      expect.stringContaining(`nodes: has ${MAX_NODES + 1} entries, at most ${MAX_NODES}`),
    ]);
  });
});

describe('addresses', () => {
  it.each([
    [
      'http://10.0.0.5:8000',
      'a private address; a proxy reaches it only when you say so: allow_addresses: ["10.0.0.5"]',
    ],
    ['http://[fd00::1]', 'allow_addresses: ["fd00::1"]'],
    ['http://169.254.169.254/latest', 'a cloud metadata address, which hands out credentials'],
    ['http://0xa9fea9fe', 'a cloud metadata address'],
    ['http://[::ffff:192.168.0.1]', 'a private address'],
    ['http://169.254.1.1', 'a link-local address'],
    ['http://0.0.0.0:8000', 'write 127.0.0.1'],
  ])('refuses %s as it is written', (url, reason) => {
    const [fault] = faults(`backend_provider: custom\nurl: "${url}"`);
    expect(fault).toMatch(/^mb\.yaml:2:6: url: /);
    expect(fault).toContain(reason);
  });

  it.each([
    'http://127.0.0.1',
    'http://localhost:1',
    'http://[::1]:8000',
    'http://8.8.8.8',
    'http://gpu.internal',
  ])('takes %s: loopback as written, public, or a name that is judged once it is resolved', (url) => {
    expect(proxy(`backend_provider: custom\nurl: "${url}"`).nodes[0].url).toBe(url);
  });

  it('takes what the operator allows', () => {
    const config = proxy(
      'backend_provider: custom\nurl: "http://10.0.0.5"\nallow_addresses: ["10.0.0.0/8", "fd00::/8"]',
    );
    expect(config.allowAddresses).toEqual(['10.0.0.0/8', 'fd00::/8']);
  });

  it.each([
    ['allow_addresses: 10.0.0.0/8', 'mb.yaml:1:18: allow_addresses: must be a list, such as'],
    [
      'allow_addresses: ["10.0.0.0/8", "gpu"]',
      'mb.yaml:1:33: allow_addresses[1]: must be an address or a range',
    ],
    ['allow_addresses: [10.5]', 'allow_addresses[0]: must be an address or a range'],
    [
      `allow_addresses: [${'"1.1.1.1", '.repeat(MAX_ALLOW_ADDRESSES + 1)}]`,
      `has ${MAX_ALLOW_ADDRESSES + 1} entries`,
    ],
  ])('refuses %j', (source, reason) => {
    expect(faults(source)[0]).toContain(reason);
  });
});

describe('timeout_seconds', () => {
  it('become milliseconds; what is not named keeps its default', () => {
    const { timeouts } = proxy('backend_provider: vllm\ntimeoutSeconds: { connect: 2.5, firstByte: 300 }');
    expect(timeouts).toEqual({ connect: 2_500, firstByte: 300_000, idle: 60_000 });
  });

  it.each([
    ['timeout_seconds: 5', 'timeout_seconds: must be a map, such as'],
    [
      'timeout_seconds: { idle: 0 }',
      'mb.yaml:1:26: timeout_seconds.idle: must be a number of seconds above 0, at most 3600',
    ],
    ['timeout_seconds: { idle: 3601 }', 'at most 3600'],
    ['timeout_seconds: { idle: .inf }', 'at most 3600'],
    ['timeout_seconds: { idle: .nan }', 'at most 3600'],
    [
      'timeout_seconds: { read: 1 }',
      'timeout_seconds.read: unknown key; known are connect, first_byte, idle',
    ],
  ])('refuses %j', (source, reason) => {
    expect(faults(source)[0]).toContain(reason);
  });
});

describe('${NAME}', () => {
  const env = { KEY: 'hunter2', HOST: 'gpu.example', COUNT: '7', EMPTY: '', WAIT: '1.5', BAD: 'hunter2 x' };

  it('stands for a variable, whole or in part, and numbers stay numbers', () => {
    const config = proxy(
      'backend_provider: ${P}\nurl: "https://${HOST}:${COUNT}/v1"\napi_key: ${KEY}\nmax_concurrent: ${COUNT}\ntimeout_seconds: { idle: "${WAIT}" }\nallow_addresses: ["${NET}"]',
      { ...env, P: 'custom', NET: '10.0.0.0/8' },
    );
    expect(config).toMatchObject({
      provider: 'custom',
      nodes: [{ url: 'https://gpu.example:7/v1', maxConcurrent: 7 }],
      timeouts: { idle: 1_500 },
      allowAddresses: ['10.0.0.0/8'],
    });
    expect(config.nodes[0].apiKey?.reveal()).toBe('hunter2');
  });

  it('is plain text after a doubled dollar, and without braces', () => {
    const { nodes } = proxy('backend_provider: vllm\napi_key: "a$${KEY}$KEY$$"', env);
    expect(nodes[0].apiKey?.reveal()).toBe('a${KEY}$KEY$$');
  });

  it('is not read a second time: a value with ${…} in it is plain text', () => {
    const { nodes } = proxy('backend_provider: vllm\napi_key: ${A}', { A: '${KEY}', KEY: 'x' });
    expect(nodes[0].apiKey?.reveal()).toBe('${KEY}');
  });

  it.each([
    ['\napi_key: ${NOPE}', 'mb.yaml:2:10: api_key: the environment variable NOPE is not set'],
    ['api_key: "x${EMPTY}"', 'mb.yaml:1:10: api_key: the environment variable EMPTY is empty'],
    ['api_key: "${A-B}"', 'a variable is written ${NAME}'],
    ['api_key: "${KEY"', 'a variable is written ${NAME}'],
    ['api_key: "${KEY:-x}"', 'a variable is written ${NAME}'],
    ['api_key: "${BAD}"', 'mb.yaml:1:10: api_key: must be printable ASCII'],
    ['url: "${KEY}"', 'url: must be an http'],
    ['backend_provider: "${KEY}"', 'backend_provider: must be one of'],
    ['max_concurrent: "${KEY}"', 'max_concurrent: must be a whole number'],
    ['nodes: "${KEY}"', 'nodes: must be a list'],
  ])('refuses %j and never shows a value', (source, reason) => {
    const found = faults(source, env);
    expect(found[0]).toContain(reason);
    expect(found.join()).not.toContain('hunter2');
  });

  it('in braces without quotes is not YAML, which is told once a line', () => {
    const source = 'fxn_id: []\nbackend_provider: custom\nnodes:\n  - { url: ${HOST}, api_key: ${KEY} }\n';
    expect(faults(source, env)).toEqual([
      'mb.yaml:1:9: fxn_id: must be a text or a whole number',
      expect.stringMatching(/^mb\.yaml:4:\d+: .*in quotes$/),
    ]);
  });

  it('names every variable that is missing', () => {
    expect(
      faults('api_key: "${A}${B}"\nbearer_token: ${C}').map((line) => /variable (\w)/.exec(line)?.[1]),
    ).toEqual(['A', 'B', 'C']);
  });
});

describe('warnings', () => {
  it('names a key that is a variable for a shell only', () => {
    const found = warnings(
      'backend_provider: vllm\napi_key: $VLLM_API_KEY\nnodes:\n  - { url: "http://localhost:1", bearer_token: $TOKEN }',
    );
    expect(found).toEqual([
      expect.stringMatching(/^mb\.yaml:2:10: api_key: is sent as it stands here/),
      expect.stringMatching(/^mb\.yaml:4:\d+: nodes\[0\]\.bearer_token: is sent as it stands here/),
    ]);
    expect(found.join()).not.toContain('VLLM_API_KEY');
    expect(warnings('backend_provider: vllm\napi_key: pa$$w0rd')).toEqual([]);
  });

  it('tell what means nothing for fxn', () => {
    expect(
      warnings('backend_provider: fxn\nurl: "http://a"\nnodes:\n  - url: "http://b"\napiKey: x'),
    ).toEqual([
      'mb.yaml:2:6: url: has no effect with backend_provider "fxn", which forwards nothing',
      expect.stringMatching(/^mb\.yaml:5:9: apiKey: has no effect/),
      expect.stringMatching(/^mb\.yaml:4:3: nodes: has no effect/),
    ]);
  });

  it('tell a key that crosses the network in the clear', () => {
    const keyed = (url: string) => warnings(`backend_provider: custom\nurl: "${url}"\napi_key: x`);
    expect(keyed('http://gpu.example')).toEqual([
      expect.stringMatching(/^mb\.yaml:2:6: url: is http, so the key/),
    ]);
    for (const url of ['https://gpu.example', 'http://127.0.0.1', 'http://localhost:8', 'http://[::1]']) {
      expect(keyed(url)).toEqual([]);
    }
  });

  it('tell a url at the top that no node takes, and a name without an alias', () => {
    expect(warnings('backend_provider: vllm\nurl: "http://a"\nnodes: [{url: "http://b"}]')).toEqual([
      expect.stringContaining('url: has no effect: every node has a url of its own'),
    ]);
    expect(warnings('backend_provider: vllm\nfxn_id: a')).toEqual([
      expect.stringContaining('fxn_id: has no effect with backend_provider "vllm" without model_name_alias'),
    ]);
    expect(warnings('backend_provider: vllm\nfxn_id: a\nmodel_name_alias: b')).toEqual([]);
  });
});
