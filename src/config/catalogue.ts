/** The models that come with Shoal, and where to find them. For Node only: browser code gets its model from the server. */
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShoalError } from './errors.ts';
import { MAX_MODEL_NAME_CHARS } from './limits.ts';
import { nearest } from './nearest.ts';

export interface CatalogueEntry {
  readonly id: string;
  /** The model's directory (Hugging Face layout), relative to the package root. */
  readonly directory: string;
  readonly description: string;
}

export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    id: 'minnow',
    directory: 'models/minnow',
    description: 'the embedded demo model: small talk and facts of a checkable little world',
  },
];

export const DEFAULT_MODEL_ID = 'minnow';

export interface ResolvedModel {
  /** The name clients use: the catalogue's id, or the directory's last name. */
  readonly id: string;
  /** Absolute path of a directory that exists. */
  readonly directory: string;
}

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

/**
 * @param idOrDirectory a catalogue id, else a directory in Hugging Face layout (relative to the working directory)
 * @throws MODEL_NOT_FOUND naming the nearest ids
 */
export function resolveModel(
  idOrDirectory: string,
  catalogue: readonly CatalogueEntry[] = CATALOGUE,
): ResolvedModel {
  const entry = catalogue.find(({ id }) => id === idOrDirectory);
  if (entry !== undefined) {
    const directory = resolve(packageRoot, entry.directory);
    if (isDirectory(directory)) return { id: entry.id, directory };
    throw new ShoalError(
      'MODEL_NOT_FOUND',
      `the files of ${entry.id} should be in ${entry.directory} and are not there; get a complete checkout`,
      { param: 'model' },
    );
  }
  const directory = resolve(idOrDirectory);
  if (idOrDirectory !== '' && isDirectory(directory)) return { id: basename(directory), directory };
  throw notFound(idOrDirectory, catalogue);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function notFound(wanted: string, catalogue: readonly CatalogueEntry[]): ShoalError {
  const ids = catalogue.map(({ id }) => id);
  const guess = nearest(wanted, ids);
  const remedy = guess === undefined ? `the catalogue has: ${ids.join(', ')}.` : `did you mean ${guess}?`;
  return new ShoalError(
    'MODEL_NOT_FOUND',
    `no model "${wanted.slice(0, MAX_MODEL_NAME_CHARS)}" in the catalogue, and no directory of that name; ${remedy} A directory in Hugging Face layout (config.json, model.safetensors, tokenizer.json) works too`,
    { param: 'model' },
  );
}
