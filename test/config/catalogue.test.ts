import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CATALOGUE, DEFAULT_MODEL_ID, resolveModel } from '../../src/config/catalogue.ts';

const directory = mkdtempSync(join(tmpdir(), 'shoal-catalogue-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('resolveModel', () => {
  it('has the default model in the catalogue', () => {
    expect(CATALOGUE.map(({ id }) => id)).toContain(DEFAULT_MODEL_ID);
  });

  it('finds a catalogue id below the package root, wherever it is called from', () => {
    const catalogue = [{ id: 'here', directory: 'test/config', description: '' }];
    const found = resolveModel('here', catalogue);
    expect(found.id).toBe('here');
    expect(existsSync(join(found.directory, 'catalogue.test.ts'))).toBe(true);
  });

  it('says so when the files of a catalogue model are missing', () => {
    const catalogue = [{ id: 'gone', directory: 'models/gone', description: '' }];
    expect(() => resolveModel('gone', catalogue)).toThrow(/models\/gone and are not there/);
  });

  it('takes any directory and names the model after it', () => {
    expect(resolveModel(directory)).toEqual({ id: basename(directory), directory });
    expect(resolveModel(`${directory}/`).id).toBe(basename(directory));
  });

  it('suggests the nearest id and mentions directories', () => {
    expect(() => resolveModel('minow')).toThrow(
      expect.objectContaining({
        code: 'MODEL_NOT_FOUND',
        message: expect.stringMatching(/did you mean minnow\?.*Hugging Face layout/),
      }),
    );
    expect(() => resolveModel('llama-3-70b')).toThrow(/the catalogue has: minnow\./);
    expect(() => resolveModel('')).toThrow(/no model ""/);
  });

  it('does not take a file for a directory', () => {
    const file = join(directory, 'model.gguf');
    writeFileSync(file, '');
    expect(() => resolveModel(file)).toThrow(/no directory of that name/);
  });
});
