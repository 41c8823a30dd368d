/**
 * Where things lie relative to the code: the only place that knows. In a checkout the code is TypeScript below src,
 * run as it is; in the package it is JavaScript below lib (scripts/build-package.mjs). For Node only.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/** Whether this code is built, so that it needs neither tsx nor a page to be built first. */
export const IS_PACKAGE = !import.meta.url.endsWith('.ts');

/** Absolute path of the checkout, or of the installed package: the folder of package.json. */
export const PACKAGE_ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));

export const PAGE_FOLDER = join(PACKAGE_ROOT, 'dist');
/** What to do where it is missing. A package has nothing to build it from. */
export const MISSING_PAGE_REMEDY = IS_PACKAGE
  ? 'the package is damaged: install it again'
  : 'run: npm run build';
/** Beside the page in a checkout, in it once it is built. */
export const SHADER_FOLDER = IS_PACKAGE ? join(PAGE_FOLDER, 'shaders') : join(PACKAGE_ROOT, 'public/shaders');
/** The catalogue's place, for people; relative to PACKAGE_ROOT. */
export const CATALOGUE_FILE = 'config/models.yaml';

/**
 * A file of src/threads by its name without the ending: what runs in a worker thread of Node. The package has each
 * as a bundle of its own.
 */
export function threadEntry(name: string): URL {
  return pathToFileURL(
    IS_PACKAGE
      ? join(PACKAGE_ROOT, 'lib/threads', `${name}.js`)
      : join(PACKAGE_ROOT, 'src/threads', `${name}.ts`),
  );
}

/**
 * Runs an entry in a thread of its own. Worker threads of Node 20 know nothing of the tsx that their parent runs in,
 * nor take it as `--import`: TypeScript goes through a bootstrap.
 * @param workerData what the thread finds under this name in node:worker_threads
 */
export function startThread(entry: URL, workerData?: unknown): Worker {
  if (!entry.pathname.endsWith('.ts')) return new Worker(entry, { workerData });
  return new Worker(join(PACKAGE_ROOT, 'bin/source-thread.mjs'), { workerData, argv: [entry.href] });
}

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const above = dirname(folder);
  if (above === folder) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`);
  return rootAbove(above);
}
