import { describe, expect, it } from 'vitest';
import type { ProxyConfig } from '../../src/config/backend-config.ts';
import { parseCatalogue } from '../../src/config/catalogue-file.ts';
import { MAX_CONFIG_BYTES } from '../../src/config/limits.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';

const parse = (source: string) => parseModelBackend(source, 'mb.yaml', { KEY: '0042' }) as ProxyConfig;
const fault = (source: string) => {
  try {
    parse(source);
  } catch (thrown) {
    return (thrown as Error).message;
  }
  throw new Error('read without a fault');
};

describe('a text is what stands there', () => {
  const written = [
    '123456789012345678901234567890',
    '0123',
    '1e3',
    '0x1F',
    '0o17',
    '1_000',
    '+5',
    '-0',
    '1.0',
    '.5',
    '1.',
    '007.50',
    '.inf',
    '.nan',
    'true',
    'False',
    'yes',
    '2024-01-31',
    '12:30:45',
    '9007199254740993',
  ];
  it.each(written)('%s', (text) => {
    expect(parse(`fxn_id: ${text}`)).toMatchObject({ fxnId: text });
    const { nodes } = parse(
      `backend_provider: vllm\napi_key: ${text}\nbearer_token: ${text}\nmodel_name_alias: ${text}`,
    );
    expect(nodes[0].apiKey?.reveal()).toBe(text);
    expect(nodes[0].bearerToken?.reveal()).toBe(text);
    expect(nodes[0].modelNameAlias).toBe(text);
    const [entry] = parseCatalogue(
      `models:\n  - id: a\n    name: ${text}\n    license: ${text}\n    source: { path: ${text} }`,
      'models.yaml',
    );
    expect(entry).toMatchObject({ name: text, license: text, source: { kind: 'path', path: text } });
  });

  it('as the name of a branch or a commit too', () => {
    const source = 'models: [{ id: a, name: A, revision: 1e3, source: { huggingface: a/b } }]';
    expect(parseCatalogue(source, 'm.yaml')).toMatchObject([{ source: { revision: '1e3' } }]);
  });

  it('in quotes, behind a tag, from a variable and as a key’s value in braces', () => {
    expect(parse('fxn_id: "0123"')).toMatchObject({ fxnId: '0123' });
    expect(parse('fxn_id: !!int 0123')).toMatchObject({ fxnId: '0123' });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the file
    expect(parse('fxn_id: ${KEY}')).toMatchObject({ fxnId: '0042' });
    expect(parse('{ fxn_id: 0123 }')).toMatchObject({ fxnId: '0123' });
  });

  it('null and ~ are no value; in quotes they are text', () => {
    for (const none of ['', '~', 'null', 'NULL'])
      expect(parse(`fxn_id: ${none}`)).toEqual({ provider: 'fxn' });
    expect(parse('fxn_id: "null"')).toMatchObject({ fxnId: 'null' });
  });

  it('numbers are numbers where numbers are asked for', () => {
    const source =
      'backend_provider: vllm\nmax_concurrent: 0x10\ntimeout_seconds: { connect: .5, idle: 1e1 }';
    expect(parse(source)).toMatchObject({
      nodes: [{ maxConcurrent: 16 }],
      timeouts: { connect: 500, idle: 10_000 },
    });
    expect(fault('backend_provider: vllm\nmax_concurrent: true')).toContain('must be a whole number');
    expect(
      parseCatalogue(
        'models:\n  - { id: a, name: A, gated: true, context: 512, source: { path: x } }',
        'm.yaml',
      ),
    ).toMatchObject([{ gated: true, context: 512 }]);
  });
});

describe('an alias stands for its anchor', () => {
  const TWO = ['http://127.0.0.1:9400', 'http://127.0.0.1:9401'];
  it.each<[string, string]>([
    [
      'a text',
      'backend_provider: custom\napi_key: &key sk-1\nnodes:\n  - url: http://127.0.0.1:9400\n    api_key: *key\n  - url: http://127.0.0.1:9401\n    api_key: *key\n',
    ],
    [
      'a list',
      `backend_provider: custom\napi_key: sk-1\nallow_addresses: &all [10.0.0.1]\nnodes: [{ url: ${TWO[0]} }, { url: ${TWO[1]} }]`,
    ],
    [
      'a provider, before its list item',
      `backend_provider: &p custom\napi_key: &k sk-1\nbearer_token: *k\nnodes:\n  - &one { url: ${TWO[0]} }\n  - { url: ${TWO[1]} }`,
    ],
    [
      'a map that is merged',
      `backend_provider: custom\nnodes:\n  - &base\n    url: ${TWO[0]}\n    api_key: sk-1\n  - <<: *base\n    url: ${TWO[1]}\n`,
    ],
    [
      'a map that is merged last, and in a list of such',
      `backend_provider: custom\nnodes:\n  - &base { url: ${TWO[0]}, api_key: sk-1 }\n  - { url: ${TWO[1]}, <<: [{ max_concurrent: 2 }, *base] }\n`,
    ],
    [
      'a map that merges itself',
      `backend_provider: custom\napi_key: sk-1\nnodes:\n  - &base { url: ${TWO[0]} }\n  - &next { <<: *base, url: ${TWO[1]} }\n`,
    ],
  ])('%s', (_, source) => {
    const { nodes } = parse(source);
    expect(nodes.map(({ url }) => url)).toEqual(TWO);
    expect(nodes.map(({ apiKey }) => apiKey?.reveal())).toEqual(['sk-1', 'sk-1']);
  });

  it('in the catalogue too', () => {
    const source =
      'models:\n  - &a { id: a, name: A, gated: true, source: { path: x } }\n  - { <<: *a, id: b }';
    expect(parseCatalogue(source, 'm.yaml')).toMatchObject([
      { id: 'a', gated: true },
      { id: 'b', name: 'A', gated: true },
    ]);
  });

  it.each([
    ['api_key: *nowhere', 'mb.yaml:1:10: api_key: an alias such as *name needs its anchor'],
    ['api_key: *b\nfxn_id: &b x', 'mb.yaml:1:10: api_key: an alias'],
    ['api_key: &x', 'mb.yaml:1:12: api_key: has an anchor and no value; a text that begins with & must be'],
    ['<<: 1', 'mb.yaml:1:5: <<: << takes a map'],
    ['<<: *none', 'mb.yaml:1:5: <<: an alias such as *name needs its anchor'],
    ['"<<": {}', 'unknown key'],
    ['backend_provider: vllm\nnodes: &n\n  - *n', 'nodes[0]: must be "key: value" lines'],
    [
      'backend_provider: vllm\nnodes: [{ <<: { colour: red } }]',
      'mb.yaml:2:17: nodes[0].colour: unknown key',
    ],
  ])('refuses %j', (source, reason) => {
    expect(fault(source)).toContain(reason);
  });

  it('tells no text of the file', () => {
    for (const source of ['api_key: *hunter2', 'api_key: &hunter2', '<<: *hunter2', 'fxn_id: [*hunter2]'])
      expect(fault(source)).not.toContain('hunter2');
  });

  it('a thousand million times is told, and not read', () => {
    const pairs = Array.from({ length: 4_000 }, (_, i) => `k${i}: 1`).join(', ');
    const bombs = [
      `backend_provider: vllm\nnodes:\n  - &a { ${pairs} }\n${'  - *a\n'.repeat(3_000)}`,
      `backend_provider: vllm\nnodes:\n  - &a { ${pairs} }\n${'  - { <<: *a }\n'.repeat(1_000)}`,
      `backend_provider: vllm\nnodes:\n  - &a { ${pairs} }\n  - { <<: [${'*a, '.repeat(3_000)}] }\n`,
      `backend_provider: vllm\nnodes: [&a { <<: &b [*a, *a, *a, *a, *a, *a, *a, *a, *b] }]`,
    ];
    for (const bomb of bombs) {
      expect(bomb.length).toBeLessThan(MAX_CONFIG_BYTES);
      expect(fault(bomb)).toMatch(/holds more than 32768 values|<< takes a map/);
    }
  });
});
