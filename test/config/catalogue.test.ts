import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { catalogueEntry, DEFAULT_MODEL_ID, loadCatalogue, resolveModel } from '../../src/config/catalogue.ts';
import { parseCatalogue } from '../../src/config/catalogue-file.ts';
import type { ShoalError } from '../../src/config/errors.ts';
import { MAX_CONTEXT_POSITIONS } from '../../src/config/limits.ts';

const directory = mkdtempSync(join(tmpdir(), 'shoal-catalogue-'));
afterAll(() => rmSync(directory, { recursive: true }));

const HOME = { SHOAL_HOME: join(directory, 'home'), HF_HOME: join(directory, 'hf') };

function catalogueOf(source: string) {
  return { entries: parseCatalogue(`models:\n${source}`, 'models.yaml'), env: HOME };
}

const REMOTE = '  - { id: far, name: Far, source: { huggingface: org/far }, revision: v1 }';

describe('the shipped catalogue', () => {
  const { entries } = loadCatalogue(HOME);

  it('has the default model and a dozen others', () => {
    expect(entries[0]?.id).toBe(DEFAULT_MODEL_ID);
    expect(entries.length).toBeGreaterThanOrEqual(13);
  });

  it('describes and licenses each, and pins or names a revision', () => {
    for (const { description, license, source, context } of entries) {
      expect(description.length).toBeGreaterThan(5);
      expect(license).toBeTruthy();
      if (source.kind === 'huggingface') expect(source.revision).not.toBe('');
      if (context !== undefined) expect(context).toBeLessThanOrEqual(MAX_CONTEXT_POSITIONS);
    }
  });
});

describe('parseCatalogue', () => {
  it('fills in what is not said', () => {
    const { entries } = catalogueOf(
      '  - { id: a, name: A, source: { path: models/a } }\n  - { id: b, name: B, source: { huggingface: o/b } }',
    );
    expect(entries).toEqual([
      {
        id: 'a',
        name: 'A',
        source: { kind: 'path', path: 'models/a' },
        quantization: 'native',
        description: '',
        gated: false,
      },
      {
        id: 'b',
        name: 'B',
        source: { kind: 'huggingface', repo: 'o/b', revision: 'main' },
        quantization: 'native',
        description: '',
        gated: false,
      },
    ]);
  });

  it('keeps a template as it is written', () => {
    const { entries } = catalogueOf(
      '  - id: a\n    name: A\n    source: { path: x }\n    context: 512\n    quantization: q4\n    template: |\n      {{ bos }}\n      {% if x %}{{ y }}{% endif %}\n',
    );
    expect(entries[0]).toMatchObject({
      context: 512,
      quantization: 'q4',
      template: '{{ bos }}\n{% if x %}{{ y }}{% endif %}\n',
    });
  });

  it.each([
    ['  - { name: A, source: { path: x } }', 'models.yaml:2:5: models[0].id: is required'],
    ['  - { id: a, name: A }', 'models.yaml:2:5: models[0].source: is required: { path'],
    ['  - { id: a, name: A, source: {} }', 'models.yaml:2:31: models[0].source: must have exactly one'],
    [
      '  - { id: a, name: A, source: { path: x, huggingface: o/r } }',
      'must have exactly one of path and huggingface',
    ],
    [
      '  - { id: a, name: A, source: { path: x }, revision: main }',
      'models[0].source: is a path, which has no revision',
    ],
    [
      '  - { id: a, name: A, source: { huggingface: nope } }',
      'models.yaml:2:46: models[0].source.huggingface: must be a repository',
    ],
    ['  - { id: a, name: A, source: { huggingface: ../../x } }', 'must be a repository'],
    ['  - { id: a, name: A, source: { huggingface: o/r }, revision: a/../b }', 'revision: must be a branch'],
    ['  - { id: A B, name: A, source: { path: x } }', 'models[0].id: must be lower case'],
    [
      '  - { id: a, name: A, source: { path: x }, quantization: q5 }',
      'quantization: must be one of native, q8, q4',
    ],
    [
      '  - { id: a, name: A, source: { path: x }, context: 9000 }',
      `context: must be a whole number from 1 to ${MAX_CONTEXT_POSITIONS}`,
    ],
    ['  - { id: a, name: A, source: { path: x }, gated: yes please }', 'gated: must be true or false'],
    [
      '  - { id: a, name: A, quantisation: q8, source: { path: x } }',
      'models.yaml:2:23: models[0].quantisation: unknown key; did you mean quantization?',
    ],
    [
      '  - { id: a, name: A, source: { path: x } }\n  - { id: a, name: B, source: { path: y } }',
      'models.yaml:3:11: models[1].id: is the id of models[0] already',
    ],
    ['  []', 'models: has no entry'],
  ])('refuses %j', (source, reason) => {
    expect(() => catalogueOf(source)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(reason) }),
    );
  });

  it('reports all faults at once', () => {
    try {
      catalogueOf(
        '  - { id: a, source: { path: x }, context: 0 }\n  - { id: a, name: "", source: { path: x } }',
      );
      throw new Error('parsed');
    } catch (thrown) {
      expect((thrown as ShoalError).message.split('\n').map((line) => line.split(': ')[1])).toEqual([
        'models[0].name',
        'models[0].context',
        'models[1].name',
      ]);
    }
  });
});

describe('resolveModel', () => {
  it('finds a catalogue path below the package root, wherever it is called from', () => {
    const found = resolveModel(
      'here',
      catalogueOf('  - { id: here, name: H, source: { path: test/config }, quantization: q8 }'),
    );
    expect(found.id).toBe('here');
    expect(found.entry?.quantization).toBe('q8');
    expect(existsSync(join(found.directory, 'catalogue.test.ts'))).toBe(true);
  });

  it('says so when the files of a model that comes with Shoal are missing', () => {
    const catalogue = catalogueOf('  - { id: gone, name: G, source: { path: models/gone } }');
    expect(() => resolveModel('gone', catalogue)).toThrow(/models\/gone and are not there/);
  });

  it('names the command that fetches a model', () => {
    expect(() => resolveModel('far', catalogueOf(REMOTE))).toThrow(
      expect.objectContaining({
        code: 'MODEL_NOT_FOUND',
        message: 'the files of far are not on this machine; run: shoal pull far',
      }),
    );
  });

  it('finds what was pulled, and not what was pulled of another revision', () => {
    const pulled = join(HOME.SHOAL_HOME, 'models', 'far');
    mkdirSync(pulled, { recursive: true });
    const write = (revision: string) =>
      writeFileSync(
        join(pulled, 'shoal-pull.json'),
        JSON.stringify({ repo: 'org/far', revision, commit: 'c' }),
      );
    write('v1');
    expect(resolveModel('far', catalogueOf(REMOTE)).directory).toBe(pulled);
    write('v0');
    expect(() => resolveModel('far', catalogueOf(REMOTE))).toThrow(
      /org\/far at v0.*says org\/far at v1; run: shoal pull far/,
    );
    rmSync(pulled, { recursive: true });
  });

  it('finds a whole model in the Hugging Face cache, by branch and by commit', () => {
    const commit = 'a'.repeat(40);
    const folder = join(HOME.HF_HOME, 'hub', 'models--org--far');
    const snapshot = join(folder, 'snapshots', commit);
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(folder, 'refs'));
    writeFileSync(join(folder, 'refs', 'v1'), commit);
    for (const name of ['config.json', 'tokenizer.json']) writeFileSync(join(snapshot, name), '{}');
    expect(() => resolveModel('far', catalogueOf(REMOTE))).toThrow(/shoal pull far/);
    writeFileSync(join(snapshot, 'model.safetensors'), '');
    expect(resolveModel('far', catalogueOf(REMOTE)).directory).toBe(snapshot);
    expect(resolveModel('far', catalogueOf(REMOTE.replace('v1', commit))).directory).toBe(snapshot);
  });

  it('takes any directory and names the model after it', () => {
    expect(resolveModel(directory)).toEqual({ id: basename(directory), directory });
    expect(resolveModel(`${directory}/`).id).toBe(basename(directory));
  });

  it('suggests the nearest ids, a few of them, and mentions directories', () => {
    expect(() => resolveModel('minow')).toThrow(
      expect.objectContaining({
        code: 'MODEL_NOT_FOUND',
        message: expect.stringMatching(/did you mean minnow\?.*Hugging Face layout/),
      }),
    );
    expect(() => resolveModel('llama-3-70b')).toThrow(/did you mean llama-\S+, llama-\S+ or llama-\S+\?/);
    expect(() => resolveModel('gpt-4')).toThrow(/the catalogue has: minnow, /);
    expect(() => resolveModel('')).toThrow(/no model ""/);
    expect(() => catalogueEntry('qwen3', loadCatalogue(HOME))).toThrow(
      /did you mean qwen.*qwen3-0\.6b|qwen3-4b/,
    );
  });

  it('does not take a file for a directory', () => {
    const file = join(directory, 'model.gguf');
    writeFileSync(file, '');
    expect(() => resolveModel(file)).toThrow(/no directory of that name/);
  });
});
