import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_MODEL_ID_CHARS } from '../../src/config/limits.ts';
import { openModelDirectory } from '../../src/model/directory.ts';
import { checkManifest } from '../../src/model/fetch/check-manifest.ts';
import { weightManifestSchema } from '../../src/model/fetch/manifest.ts';
import { shardTensors, wholeModel } from '../../src/model/tensors.ts';
import { safetensorsFile, tensorFile } from './safetensors-file.ts';
import { tinyConfig as config } from './tiny-config.ts';

let directory: string;
const at = (name: string) => join(directory, name);
const put = (name: string, content: unknown) =>
  writeFileSync(at(name), content instanceof Uint8Array ? content : JSON.stringify(content));

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-model-'));
  put('config.json', config);
  put('tokenizer.json', { model: { type: 'BPE' } });
  const { specFromHfConfig } = await import('../../src/model/hf-config.ts');
  const spec = specFromHfConfig(config);
  put(
    'model.safetensors',
    tensorFile([...shardTensors(spec, wholeModel(spec)), { name: 'rotary.inv_freq', shape: [2] }]),
  );
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a model directory', () => {
  it('reads JSON that begins with a byte order mark', async () => {
    writeFileSync(at('tokenizer_config.json'), '\uFEFF{"chat_template": "hello"}');
    expect((await openModelDirectory(directory)).chatTemplate).toBe('hello');
  });

  it('gives manifests of exactly a shard, with right ranges and hashes', async () => {
    const model = await openModelDirectory(directory, { model: 'odd' });
    const shard = { start: 1, end: 2, embedding: false, head: true };
    const manifest = weightManifestSchema.parse(await model.manifest(shard));
    expect(manifest.model).toBe('odd');
    expect(() => checkManifest(manifest, shard)).not.toThrow();
    for (const entry of Object.values(manifest.tensors)) {
      const bytes = readFileSync(model.filePath(entry.file)).subarray(entry.start, entry.end);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(entry.sha256);
    }
    expect(manifest.tensors).not.toHaveProperty(['rotary.inv_freq']);
    // The same again, from memory.
    expect(await model.manifest(shard)).toEqual(manifest);
  });

  it('has an id that fits the protocol, or says how to get one', async () => {
    const model = 'n'.repeat(MAX_MODEL_ID_CHARS);
    const shard = { start: 0, end: 1, embedding: true, head: false };
    const manifest = await (await openModelDirectory(directory, { model })).manifest(shard);
    expect(weightManifestSchema.parse(manifest).model).toBe(model);
    const long = join(directory, `${model}n`);
    mkdirSync(long);
    await expect(openModelDirectory(long)).rejects.toThrow(
      refusal('MODEL_CONFIG_INVALID', /has 129 characters, the protocol carries 128; rename the directory/),
    );
    await expect(openModelDirectory('/')).rejects.toThrow(refusal('MODEL_CONFIG_INVALID', /no name/));
  });

  it('reads what the parts say', async () => {
    put('generation_config.json', { eos_token_id: [3, 4] });
    put('tokenizer_config.json', { chat_template: 'in the config' });
    const model = await openModelDirectory(directory);
    expect(model.spec.eosTokenIds).toEqual([3, 4]);
    expect(model.dtype).toBe('F16');
    expect(model.chatTemplate).toBe('in the config');
    writeFileSync(at('chat_template.jinja'), 'in its own file');
    expect((await openModelDirectory(directory)).chatTemplate).toBe('in its own file');
  });

  it('is served with a shorter context and another chat template, where that is asked for', async () => {
    writeFileSync(at('chat_template.jinja'), 'its own');
    const model = await openModelDirectory(directory, { contextLength: 32, chatTemplate: 'another' });
    expect(model.spec.contextLength).toBe(32);
    expect(model.chatTemplate).toBe('another');
    await expect(openModelDirectory(directory, { contextLength: 65 })).rejects.toThrow(
      refusal('MODEL_CONFIG_INVALID', /a context of 65 positions is asked for, and .* at most 64/),
    );
  });

  it.each<[string, unknown, string | undefined]>([
    ['none', {}, undefined],
    ['null', { chat_template: null }, undefined],
    [
      'a named default',
      {
        chat_template: [
          { name: 'tool', template: 't' },
          { name: 'default', template: 'd' },
        ],
      },
      'd',
    ],
    ['only one name', { chat_template: [{ name: 'tool', template: 't' }] }, 't'],
  ])('finds a chat template: %s', async (_, tokenizerConfig, template) => {
    put('tokenizer_config.json', tokenizerConfig);
    expect((await openModelDirectory(directory)).chatTemplate).toBe(template);
  });

  it('serves its weight files and no others', async () => {
    const model = await openModelDirectory(directory);
    expect(model.filePath('model.safetensors')).toBe(at('model.safetensors'));
    for (const name of [
      'config.json',
      '../x',
      '/etc/passwd',
      '',
      'model.safetensors/..',
      '..\\x',
      '__proto__',
    ]) {
      expect(() => model.filePath(name), name).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    }
  });

  it('has no layers beyond its own', async () => {
    const model = await openModelDirectory(directory);
    await expect(model.manifest({ start: 1, end: 3, embedding: false, head: true })).rejects.toThrow(
      refusal('MODEL_CONFIG_INVALID', /no layers \[1, 3\); the model has layers \[0, 2\)/),
    );
  });

  it('reads a model in several files', async () => {
    cpSync(new URL('../fixtures/odd-llama', import.meta.url), directory, { recursive: true });
    rmSync(at('model.safetensors'));
    const model = await openModelDirectory(directory);
    expect([...model.files].sort()).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
    ]);
    const manifest = await model.manifest(wholeModel(model.spec));
    expect(new Set(Object.values(manifest.tensors).map(({ file }) => file))).toEqual(model.files);
  });
});

describe('what is missing or wrong is told with its remedy', () => {
  it.each<[string, () => void, string, RegExp]>([
    [
      'no directory',
      () => rmSync(directory, { recursive: true }),
      'MODEL_NOT_FOUND',
      /no model directory.*config\.json/,
    ],
    ['no config.json', () => rmSync(at('config.json')), 'MODEL_CONFIG_INVALID', /has no config\.json/],
    [
      'no tokenizer.json',
      () => rmSync(at('tokenizer.json')),
      'MODEL_CONFIG_INVALID',
      /no tokenizer\.json.*save_pretrained/,
    ],
    [
      'no weights',
      () => rmSync(at('model.safetensors')),
      'MODEL_CONFIG_INVALID',
      /no model\.safetensors.*\.bin/,
    ],
    [
      'half a JSON',
      () => writeFileSync(at('config.json'), '{"a":'),
      'MODEL_CONFIG_INVALID',
      /config\.json.*is not JSON/,
    ],
    [
      'a huge config',
      () => writeFileSync(at('config.json'), Buffer.alloc(17 << 20)),
      'MODEL_CONFIG_INVALID',
      /17825792 bytes, at most/,
    ],
    [
      'a directory in place of a file',
      () => {
        rmSync(at('config.json'));
        mkdirSync(at('config.json'));
      },
      'MODEL_CONFIG_INVALID',
      /config\.json.*is not a file/,
    ],
    [
      'truncated weights',
      () => truncateSync(at('model.safetensors'), 5000),
      'SAFETENSORS_INVALID',
      /model\.safetensors: .*\d/,
    ],
    [
      'seven bytes of weights',
      () => truncateSync(at('model.safetensors'), 7),
      'SAFETENSORS_INVALID',
      /7 bytes/,
    ],
    [
      'weights of another config',
      () => put('config.json', { ...config, intermediate_size: 18 }),
      'TENSOR_SHAPE',
      /\[17, 12\].*\[18, 12\]/,
    ],
    [
      'weights of fewer layers',
      () => put('config.json', { ...config, num_hidden_layers: 3 }),
      'TENSOR_MISSING',
      /"model\.layers\.2\./,
    ],
    [
      'weights in another format',
      () =>
        put(
          'model.safetensors',
          safetensorsFile(
            { 'model.embed_tokens.weight': { dtype: 'F64', shape: [21, 12], data_offsets: [0, 2016] } },
            new Uint8Array(2016),
          ),
        ),
      'MODEL_UNSUPPORTED',
      /is F64; supported are F32, F16, BF16/,
    ],
    [
      'an index that names a missing file',
      () => {
        rmSync(at('model.safetensors'));
        put('model.safetensors.index.json', { weight_map: { a: 'model-00001-of-00001.safetensors' } });
      },
      'MODEL_CONFIG_INVALID',
      /no model-00001-of-00001\.safetensors.*download the missing part/,
    ],
    [
      'an index that points elsewhere',
      () => {
        rmSync(at('model.safetensors'));
        put('model.safetensors.index.json', { weight_map: { a: '../model.safetensors' } });
      },
      'SAFETENSORS_INVALID',
      /"\.\.\/model\.safetensors"/,
    ],
    [
      'a broken chat template',
      () => put('tokenizer_config.json', { chat_template: 7 }),
      'TOKENIZER_INVALID',
      /chat_template is number/,
    ],
  ])('%s', async (_, damage, code, message) => {
    damage();
    await expect(openModelDirectory(directory)).rejects.toThrow(refusal(code, message));
  });

  it('a file that is given for a directory', async () => {
    await expect(openModelDirectory(at('config.json'))).rejects.toThrow(
      refusal('MODEL_NOT_FOUND', /is a file/),
    );
  });

  it('weights that shrink while they are served', async () => {
    const model = await openModelDirectory(directory);
    truncateSync(at('model.safetensors'), 2000);
    await expect(model.manifest(wholeModel(model.spec))).rejects.toThrow(
      refusal('SAFETENSORS_INVALID', /was changed/),
    );
  });

  it('but a model cache of links, as the Hugging Face hub keeps, is fine', async () => {
    const other = mkdtempSync(join(tmpdir(), 'shoal-links-'));
    try {
      for (const name of ['config.json', 'tokenizer.json', 'model.safetensors'])
        symlinkSync(at(name), join(other, name));
      expect((await openModelDirectory(other)).spec.hidden).toBe(12);
    } finally {
      rmSync(other, { recursive: true });
    }
  });
});

describe('a manifest', () => {
  it('is refused where it does not fit its shard', async () => {
    const shard = { start: 0, end: 1, embedding: true, head: false };
    const manifest = await (await openModelDirectory(directory)).manifest(shard);
    const name = 'model.layers.0.mlp.up_proj.weight';
    const { [name]: entry, ...others } = manifest.tensors;
    const reshaped = { ...manifest.tensors, [name]: { ...entry!, shape: [12, 17] } };
    expect(() => checkManifest({ ...manifest, tensors: others }, shard)).toThrow(
      refusal('TENSOR_MISSING', /up_proj/),
    );
    expect(() => checkManifest({ ...manifest, tensors: reshaped }, shard)).toThrow(
      refusal('TENSOR_SHAPE', /\[12, 17\].*\[17, 12\]/),
    );
    expect(() => checkManifest(manifest, { ...shard, embedding: false })).toThrow(
      refusal('TENSOR_MISSING', /embed_tokens/),
    );
  });
});
