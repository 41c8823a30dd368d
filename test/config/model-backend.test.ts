import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ProxyConfig } from '../../src/config/backend-config.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_CONFIG_BYTES } from '../../src/config/limits.ts';
import { parseModelBackend, readModelBackend } from '../../src/config/model-backend.ts';

const parse = (source: string) => parseModelBackend(source, 'mb.yaml');

function parseProxy(source: string): ProxyConfig {
  const config = parse(source);
  if (config.provider === 'fxn') throw new Error('read as fxn');
  return config;
}

function faults(source: string): string[] {
  try {
    parse(source);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ShoalError);
    expect((thrown as ShoalError).code).toBe('CONFIG_INVALID');
    return (thrown as ShoalError).message.split('\n');
  }
  throw new Error('parsed without a fault');
}

const TEMPLATE = `
backend_provider: "custom"        # "fxn", "custom", "vllm" or "ollama"
url: "http://your-backend:8082"   # required for "custom"
fxn_id: "2"                       # the model to take part in
api_key: "your-api-key"           # optional
bearer_token: "your-bearer-token" # optional
model_name_alias: "llama3"        # optional: the backend's own name for the model
`;

describe('model_backend.yaml', () => {
  it('reads the template in snake_case and in camelCase alike', () => {
    const camel = TEMPLATE.replace(/^[a-z_]+/gm, (key) => key.replace(/_(.)/g, (_, c) => c.toUpperCase()));
    expect(camel).toContain('modelNameAlias:');
    for (const source of [TEMPLATE, camel]) {
      const config = parseProxy(source);
      expect(config).toMatchObject({
        provider: 'custom',
        fxnId: '2',
        nodes: [{ url: 'http://your-backend:8082', modelNameAlias: 'llama3' }],
      });
      expect(config.nodes[0].apiKey?.reveal()).toBe('your-api-key');
      expect(config.nodes[0].bearerToken?.reveal()).toBe('your-bearer-token');
    }
  });

  it('takes an empty file, comments alone and the shipped example as fxn', () => {
    const example = readFileSync(new URL('../../model_backend.yaml.example', import.meta.url), 'utf8');
    for (const source of ['', '# nothing\n', '---\n', example])
      expect(parse(source)).toEqual({ provider: 'fxn' });
  });

  it('reads the example with every commented key switched on', () => {
    const example = readFileSync(new URL('../../model_backend.yaml.example', import.meta.url), 'utf8');
    const uncommented = example.replaceAll(/^# (?=[a-z_]+:| {2})/gm, '').replace('"fxn"\n', '"custom"\n');
    const { config, warnings } = readModelBackend(uncommented, 'mb.yaml', {
      GPU_API_KEY: 'from-env',
      JOIN_KEY: 'correct horse',
      TURN_SECRET: 'secret',
    });
    if (config.provider === 'fxn') throw new Error('read as fxn');
    expect(config.fxnId).toBe('minnow');
    expect(config.nodes.map(({ url }) => url)).toEqual([
      'http://127.0.0.1:8082',
      'https://gpu.example.com/v1',
    ]);
    expect(config.nodes.map(({ apiKey }) => apiKey?.reveal())).toEqual(['your-api-key', 'from-env']);
    expect(config.nodes.map(({ maxConcurrent }) => maxConcurrent)).toEqual([1024, 8]);
    expect(config.allowAddresses).toEqual(['192.168.1.20', '10.0.0.0/8']);
    expect(config.timeouts).toEqual({ connect: 10_000, firstByte: 120_000, idle: 60_000 });
    const ofTheMesh = [
      'min_stages',
      'max_stages',
      'solo',
      'replicas',
      'join_key',
      'turn_secret',
      'state',
      'turn_urls',
    ];
    expect(warnings).toEqual([
      ...ofTheMesh.map((key) =>
        expect.stringContaining(`${key}: has no effect with backend_provider "custom"`),
      ),
      expect.stringContaining('url: has no effect'),
    ]);
    const mesh = uncommented.replace('"custom"\n', '"fxn"\n');
    const read = readModelBackend(mesh, 'mb.yaml', {
      GPU_API_KEY: 'k',
      JOIN_KEY: 'correct horse',
      TURN_SECRET: 's',
    });
    expect(read.config).toMatchObject({
      minStages: 1,
      maxStages: 8,
      solo: false,
      replicas: 2,
      state: 'state',
    });
  });

  it('says how the mesh is run, in snake_case and camelCase, and shows no secret', () => {
    const config = parse(
      'minStages: 2\nmax_stages: 4\nreplicas: 3\nsolo: false\njoin_key: correct horse\nstate: /var/lib/shoal\n' +
        'turn_urls: ["turn:a.test:3478"]\nturn_secret: hunter2',
    );
    expect(config).toMatchObject({
      provider: 'fxn',
      minStages: 2,
      maxStages: 4,
      replicas: 3,
      solo: false,
      turnUrls: ['turn:a.test:3478'],
      state: '/var/lib/shoal',
    });
    if (config.provider !== 'fxn') throw new Error('not fxn');
    expect(config.joinKey?.reveal()).toBe('correct horse');
    expect(config.turnSecret?.reveal()).toBe('hunter2');
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toMatch(/horse|hunter2/);
  });

  it.each([
    ['min_stages: 0', 'mb.yaml:1:13: min_stages: must be a whole number from 1 to 512'],
    ['max_stages: many', 'mb.yaml:1:13: max_stages: must be a whole number from 1 to 512'],
    ['replicas: 65', 'mb.yaml:1:11: replicas: must be a whole number from 1 to 64'],
    ['replicas: 1.5', 'mb.yaml:1:11: replicas: must be a whole number from 1 to 64'],
    ['solo: yes', 'mb.yaml:1:7: solo: must be true or false'],
    ['solo: true\nmin_stages: 2', 'mb.yaml:2:13: min_stages: is of no use beside solo: true'],
    ['min_stages: 3\nmax_stages: 2', 'mb.yaml:1:13: min_stages: is 3, more than max_stages, which is 2'],
    ['join_key: sesame', 'mb.yaml:1:11: join_key: must have 8 to 200 characters'],
    [
      'turn_urls: "turn:a.test"',
      'mb.yaml:1:12: turn_urls: must be a list, such as ["turn:turn.example.com:3478"]',
    ],
    ['turn_urls: ["https://a.test"]', 'mb.yaml:1:13: turn_urls[0]: must be "turn:host:port"'],
    ['turn_secret: "x"', 'mb.yaml:1:14: turn_secret: is of no use without turn_urls'],
    ['minStage: 2', 'mb.yaml:1:1: minStage: unknown key; did you mean min_stages?'],
  ])('refuses %j of the mesh', (source, fault) => {
    expect(faults(source)).toEqual([expect.stringContaining(fault)]);
  });

  it('takes fxn_id as a number', () => {
    expect(parse('fxn_id: 2')).toEqual({ provider: 'fxn', fxnId: '2' });
  });

  it('treats a key without a value as absent', () => {
    expect(parse('api_key:\nfxn_id: ~')).toEqual({ provider: 'fxn' });
  });

  it.each([
    ['http://h:8/', 'http://h:8'],
    ['http://h:8/v1/', 'http://h:8/v1'],
    ['https://H/llm//', 'https://h/llm'],
  ])('keeps the path of %s and drops trailing slashes', (url, kept) => {
    expect(parseProxy(`backend_provider: custom\nurl: "${url}"`).nodes[0].url).toBe(kept);
  });

  it.each([
    ['backend_provider: custom', 'mb.yaml:1:19: url: is required'],
    [
      'backend_provider: custm',
      'mb.yaml:1:19: backend_provider: must be one of fxn, custom, vllm, ollama; did you mean custom?',
    ],
    ['\napi_kee: "x"', 'mb.yaml:2:1: api_kee: unknown key; did you mean api_key?'],
    ['ModelNameAlias: "x"', 'mb.yaml:1:1: ModelNameAlias: unknown key; did you mean'],
    ['colour: "x"', 'mb.yaml:1:1: colour: unknown key; known are backend_provider, fxn_id, url'],
    ['fxn_id: 1\nfxnId: 1', 'mb.yaml:2:1: fxnId: given already as fxn_id on line 1'],
    ['fxn_id: 1\nfxn_id: 1', 'mb.yaml:2:1: fxn_id: given already on line 1'],
    ['api_key: {}', 'mb.yaml:1:10: api_key: must be text; put it in quotes'],
    ['api_key: ""', 'mb.yaml:1:10: api_key: must not be empty'],
    ['api_key: "a\\nb"', 'mb.yaml:1:10: api_key: must be printable ASCII'],
    ['url: "ftp://x"', 'mb.yaml:1:6: url: must be an http'],
    ['url: "http://u:hunter2@x"', 'mb.yaml:1:6: url: must not hold a user name or password'],
    ['url: "http://x/?a=1"', 'mb.yaml:1:6: url: must not have a query'],
    ['url: "http://x/#a"', 'mb.yaml:1:6: url: must not have a query'],
    ['fxn_id: [1]', 'mb.yaml:1:9: fxn_id: must be a text or a whole number'],
    ['- fxn', 'mb.yaml:1:1: must be lines of "key: value"'],
    ['\tfxn_id: 1', 'mb.yaml:1:1: tabs cannot indent YAML'],
    ['fxn_id: 1\n---\nfxn_id: 2', 'mb.yaml:2:1: a second document starts here'],
    ['? [a]\n: b', 'mb.yaml:1:3: unknown key'],
  ])('refuses %j', (source, start) => {
    expect(faults(source)[0]).toContain(start);
  });

  it('reports every fault at once, in the order of the file', () => {
    const found = faults(
      'backend_provider: custom\napi_kee: 1\nurl: "nope"\nfxn_id: {}\nmodel_name_alias: "open\n',
    );
    expect(found.map((line) => line.split(':')[1])).toEqual(['2', '3', '4', '6']);
  });

  it('refuses a file that is too large to be one', () => {
    expect(faults(`# ${'x'.repeat(MAX_CONFIG_BYTES)}`)[0]).toContain(`at most ${MAX_CONFIG_BYTES} are read`);
  });

  it.each([
    'api_key: hunter2 x: y',
    'api_key: *hunter2',
    'api_key: "hunter2',
    'api_key: "hunter2\\q"',
    'api_key: !hunter2 x',
    'api_key: "hunter2 hunter2"',
    'url: "http://a:hunter2@x"',
    'url: "hunter2"',
    "api_key: 'a' hunter2",
  ])('never repeats a value: %s', (source) => {
    expect(faults(source).join()).not.toContain('hunter2');
  });

  it('never shows a secret however the config is printed', () => {
    const config = parseProxy('backend_provider: vllm\napi_key: "hunter2"\nbearer_token: "hunter3"');
    const [node] = config.nodes;
    const prints = [
      JSON.stringify(config),
      inspect(config, { showHidden: true, depth: 9 }),
      `${node.apiKey} ${node.bearerToken}`,
      String({ ...node }.apiKey),
    ];
    for (const print of prints) {
      expect(print).not.toMatch(/hunter/);
      expect(print).toContain('***');
    }
  });
});
