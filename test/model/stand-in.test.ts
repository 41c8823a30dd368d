import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_TOKENIZER_BYTES } from '../../src/config/limits.ts';
import { openModelDirectory } from '../../src/model/directory.ts';
import { readJsonFile } from '../../src/model/directory-files.ts';
import { specFromHfConfig } from '../../src/model/hf-config.ts';
import { shardTensors, wholeModel } from '../../src/model/tensors.ts';
import { tensorFile } from './safetensors-file.ts';
import { tinyConfig as config } from './tiny-config.ts';

const spec = specFromHfConfig(config);
const WEIGHTS = tensorFile(shardTensors(spec, wholeModel(spec)));
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12075256\n`;

let directory: string;
const put = (name: string, content: string | Uint8Array) => writeFileSync(join(directory, name), content);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-stand-in-'));
  put('config.json', JSON.stringify(config));
  put('tokenizer.json', JSON.stringify({ model: { type: 'BPE' } }));
  put('model.safetensors', WEIGHTS);
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The tokenizer is not read with the rest, but where it is needed: `readModelText`. */
const opening = () =>
  openModelDirectory(directory)
    .then(() => readJsonFile(directory, 'tokenizer.json', MAX_TOKENIZER_BYTES))
    .then(
      () => 'opened',
      ({ code, message }) => `${code}: ${message}`,
    );

describe.each([
  'model.safetensors',
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
])('in the place of %s', (name) => {
  it.each([
    ['a git-lfs pointer', POINTER, 'is a git-lfs pointer', 'git lfs install && git lfs pull'],
    ['an old git-lfs pointer', POINTER.replace('git-lfs', 'hawser'), 'is a git-lfs pointer', 'git lfs pull'],
    ['a git-lfs pointer behind a mark', `\uFEFF${POINTER}`, 'is a git-lfs pointer', 'git lfs pull'],
    ['a Xet pointer', "# xet version 0\nfilesize = 12\nhash = 'ab'\n", 'is a Xet pointer', 'hf download'],
    [
      'a git-annex pointer',
      '/annex/objects/SHA256E-s12--ab.safetensors\n',
      'is a git-annex pointer',
      'git annex get',
    ],
    ['a page', '\n<!DOCTYPE html>\n<html><title>Sign in</title>', 'is a web page', '/resolve/'],
    [
      'a storage’s error',
      '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
      'is a web page or an error',
      'token',
    ],
    ['a hub’s error', 'Invalid username or password.', 'is the error text of a server', 'token'],
    ['nothing', '', 'is empty', 'download it again'],
    ['zeros', new Uint8Array(1_000), 'begins with zeros', 'download it again'],
    ['a GGUF file', 'GGUF\u0003\0\0\0', 'is a GGUF file', 'safetensors is needed'],
    ['a PyTorch file', 'PK\u0003\u0004\0\0', 'is a PyTorch file', 'safetensors'],
    ['a compressed file', Buffer.from([0x1f, 0x8b, 8, 0]), 'is compressed', 'unpack it'],
  ])('%s is told by name, with what to do', async (_, content, what, remedy) => {
    put(name, content);
    const told = await opening();
    expect(told).toContain(`MODEL_CONFIG_INVALID: ${name} in ${directory} ${what}`);
    expect(told).toContain(remedy);
  });
});

it('the half of a download is told as that', async () => {
  put('model.safetensors', WEIGHTS.subarray(0, WEIGHTS.length - 10));
  expect(await opening()).toMatch(/SAFETENSORS_INVALID: model\.safetensors.*download it again/);
  put('model.safetensors', WEIGHTS.subarray(0, 100));
  expect(await opening()).toMatch(/SAFETENSORS_INVALID: model\.safetensors.*download it again/);
  put('model.safetensors', WEIGHTS);
  put('tokenizer.json', '{"model": {"type": "BP');
  expect(await opening()).toMatch(/tokenizer\.json .* is not JSON: .*; download it again/);
});

it('a pointer in the place of one of several weight files, of their index and of a template', async () => {
  rmSync(join(directory, 'model.safetensors'));
  put('model.safetensors.index.json', POINTER);
  expect(await opening()).toContain('model.safetensors.index.json in');
  put('model.safetensors.index.json', JSON.stringify({ weight_map: { a: 'a-1.safetensors' } }));
  put('a-1.safetensors', POINTER);
  expect(await opening()).toContain('a-1.safetensors in');
  put('model.safetensors', WEIGHTS);
  put('chat_template.jinja', POINTER);
  expect(await opening()).toContain('chat_template.jinja in');
  // An empty template is one.
  put('chat_template.jinja', '');
  expect(await opening()).toBe('opened');
});
