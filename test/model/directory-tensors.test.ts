import { cpSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openModelDirectory } from '../../src/model/directory.ts';
import { readTensors } from '../../src/model/directory-tensors.ts';
import { shardTensors, wholeModel } from '../../src/model/tensors.ts';
import { fixture } from '../support/model-weights.ts';

let copy: string;
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'shoal-tensors-'));
  cpSync(fixture('odd-llama-rope3'), copy, { recursive: true });
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

async function namesRead(path: string, change: () => void = () => {}): Promise<string[]> {
  const directory = await openModelDirectory(path);
  await directory.manifest(wholeModel(directory.spec));
  change();
  const names: string[] = [];
  for await (const { name, bytes } of readTensors(directory, wholeModel(directory.spec))) {
    expect(bytes.length).toBeGreaterThan(0);
    names.push(name);
  }
  return names;
}

it('reads each tensor of the shard once', async () => {
  const { spec } = await openModelDirectory(copy);
  const expected = shardTensors(spec, wholeModel(spec)).map(({ name }) => name);
  expect((await namesRead(copy)).sort()).toEqual(expected.sort());
});

it('tells of a file that has become shorter meanwhile, and hands out no zeros', async () => {
  const shorten = () => truncateSync(join(copy, 'model.safetensors'), 4_000);
  await expect(namesRead(copy, shorten)).rejects.toMatchObject({ code: 'SAFETENSORS_INVALID' });
});
