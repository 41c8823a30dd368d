/** From a model's name to its files. For Node only: browser code gets its model from the server. */
import { readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type CatalogueEntry, type HubSource, parseCatalogue } from './catalogue-file.ts';
import { ShoalError } from './errors.ts';
import { CATALOGUE_FILE, PACKAGE_ROOT } from './installation.ts';
import { MAX_MODEL_NAME_CHARS } from './limits.ts';
import { inHubCache, modelsFolder, readPulled } from './model-folders.ts';
import { nearestFew } from './nearest.ts';
import { decodeTextFile } from './text-file.ts';

export const DEFAULT_MODEL_ID = 'minnow';

export interface ResolvedModel {
  /** The name clients use: the catalogue's id, or the directory's last name. */
  readonly id: string;
  /** Absolute path of a directory that exists. */
  readonly directory: string;
  /** What the catalogue says of it; absent for a directory. */
  readonly entry?: CatalogueEntry;
}

export interface Catalogue {
  readonly entries: readonly CatalogueEntry[];
  /** Finds downloads: SHOAL_HOME, HF_HOME and their like. */
  readonly env: NodeJS.ProcessEnv;
}

/** The catalogue that comes with Shoal. @throws CONFIG_INVALID */
export function loadCatalogue(env: NodeJS.ProcessEnv = process.env): Catalogue {
  const file = join(PACKAGE_ROOT, CATALOGUE_FILE);
  return { entries: parseCatalogue(decodeTextFile(readFileSync(file), CATALOGUE_FILE), CATALOGUE_FILE), env };
}

/** @throws MODEL_NOT_FOUND naming the nearest ids */
export function catalogueEntry(id: string, { entries }: Catalogue): CatalogueEntry {
  const entry = entries.find((candidate) => candidate.id === id);
  if (entry !== undefined) return entry;
  throw new ShoalError(
    'MODEL_NOT_FOUND',
    `no model "${shown(id)}" in the catalogue; ${suggestion(id, entries)}`,
    {
      param: 'model',
    },
  );
}

/**
 * @param idOrDirectory a catalogue id, else a directory in Hugging Face layout (relative to the working directory)
 * @throws MODEL_NOT_FOUND naming the nearest ids, or the command that fetches the files; CONFIG_INVALID
 */
export function resolveModel(idOrDirectory: string, catalogue: Catalogue = loadCatalogue()): ResolvedModel {
  const entry = catalogue.entries.find(({ id }) => id === idOrDirectory);
  if (entry !== undefined) return { id: entry.id, directory: directoryOf(entry, catalogue.env), entry };
  const directory = resolve(idOrDirectory);
  if (idOrDirectory !== '' && isDirectory(directory)) return { id: basename(directory), directory };
  throw new ShoalError(
    'MODEL_NOT_FOUND',
    `no model "${shown(idOrDirectory)}" in the catalogue, and no directory of that name; ${suggestion(idOrDirectory, catalogue.entries)} A directory in Hugging Face layout (config.json, model.safetensors, tokenizer.json) works too`,
    { param: 'model' },
  );
}

function directoryOf({ id, source }: CatalogueEntry, env: NodeJS.ProcessEnv): string {
  if (source.kind === 'huggingface') return pulledDirectory(id, source, env);
  const directory = resolve(PACKAGE_ROOT, source.path);
  if (isDirectory(directory)) return directory;
  throw new ShoalError(
    'MODEL_NOT_FOUND',
    `the files of ${id} should be in ${source.path} and are not there; get a complete checkout, or install the package again`,
    { param: 'model' },
  );
}

function pulledDirectory(id: string, source: HubSource, env: NodeJS.ProcessEnv): string {
  const directory = join(modelsFolder(env), id);
  const pulled = readPulled(directory);
  if (pulled?.repo === source.repo && pulled.revision === source.revision) return directory;
  const cached = inHubCache(source, env);
  if (cached !== null) return cached;
  const found =
    pulled === null
      ? 'are not on this machine'
      : `on this machine are those of ${pulled.repo} at ${pulled.revision}, and the catalogue says ${source.repo} at ${source.revision}`;
  throw new ShoalError('MODEL_NOT_FOUND', `the files of ${id} ${found}; run: shoal pull ${id}`, {
    param: 'model',
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const shown = (name: string) => name.slice(0, MAX_MODEL_NAME_CHARS);

function suggestion(wanted: string, entries: readonly CatalogueEntry[]): string {
  const ids = entries.map(({ id }) => id);
  const [best, ...others] = nearestFew(wanted, ids);
  if (best === undefined) return `the catalogue has: ${ids.join(', ')}.`;
  return `did you mean ${others.length === 0 ? best : `${others.reverse().join(', ')} or ${best}`}?`;
}
