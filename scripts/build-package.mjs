/**
 * Builds what the package holds beside its data: the page (dist) and, in lib, the command line, the threads of Node and the
 * library as JavaScript, with declarations. Run by `npm pack` and `npm publish` (prepack); a checkout runs its TypeScript as
 * it is and needs none of it.
 *
 * Usage: node scripts/build-package.mjs
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { buildPage, pageIsStale } from './build-page.mjs';
import { readCommit } from './commit.mjs';
import { pruneDeclarations } from './prune-declarations.mjs';
import { runCommand } from './run-command.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIB = join(ROOT, 'lib');
const LIBRARY = ['engine', 'mesh', 'node'];
/** Quick to load, and needed by nearly every command. */
const LIGHT_PACKAGES = ['commander', 'yaml', 'zod'];

/** Nothing but the server's mesh imports from there, so that the chunks do not need each other. */
const MESH = /\/src\/(server\/mesh|schedule\/(layout|health))\//;

/**
 * Rollup alone makes a chunk for each set of modules that some commands share, dozens of them. What leads to no large
 * package is one chunk instead, and what of it only a server runs another; the rest stays apart, for `shoal --help` should not
 * wait for puppeteer.
 * @param {string} id a module's path
 * @param {import('vite').Rollup.ManualChunkMeta} graph
 */
function chunkOfCommands(id, { getModuleInfo }) {
  const info = getModuleInfo(id);
  if (info === null || info.isEntry || info.dynamicImporters.length > 0) return undefined;
  const seen = new Set([id]);
  // A set that grows while it is walked is walked to its end.
  for (const module of seen) {
    const found = getModuleInfo(module);
    if (found?.isExternal && !isBuiltin(module) && !LIGHT_PACKAGES.includes(module)) return undefined;
    for (const imported of found?.importedIds ?? []) seen.add(imported);
  }
  return MESH.test(id) ? 'mesh' : 'base';
}

/** The kernels' texts as a module: see src/library/shaders.d.ts. @type {import('vite').Plugin} */
const shaders = {
  name: 'shaders',
  resolveId: (id) => (id === 'shoal:shaders' ? '\0shoal:shaders.json' : null),
  load(id) {
    if (id !== '\0shoal:shaders.json') return null;
    const folder = join(ROOT, 'public', 'shaders');
    const texts = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]);
    return JSON.stringify(Object.fromEntries(texts));
  },
};

/**
 * @param {Record<string, string>} entry name in lib → source, relative to src
 * @param {string} chunks folder in lib of what the entries share
 * @param {boolean} isWhole one file, small, for nothing is installed beside it
 */
function bundle(entry, chunks, isWhole = false) {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const installed = Object.keys(dependencies);
  const isInstalled = (/** @type {string} */ id) =>
    isBuiltin(id) || installed.some((name) => id === name || id.startsWith(`${name}/`));
  return build({
    root: ROOT,
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    plugins: [shaders],
    build: {
      outDir: LIB,
      emptyOutDir: false,
      target: 'es2023',
      // A stack trace should name functions; readable code has no need of a map.
      minify: isWhole,
      lib: {
        entry: Object.fromEntries(Object.entries(entry).map(([to, from]) => [to, join(ROOT, 'src', from)])),
        formats: ['es'],
      },
      rollupOptions: {
        ...(!isWhole && { external: isInstalled }),
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: `${chunks}/[name]-[hash].js`,
          ...(chunks === 'commands' && { manualChunks: chunkOfCommands }),
        },
      },
    },
  });
}

function threadEntries() {
  const folder = join(ROOT, 'src', 'threads');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ts')) : [];
  return Object.fromEntries(names.map((name) => [`threads/${basename(name, '.ts')}`, `threads/${name}`]));
}

async function declare() {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await runCommand(process.execPath, [tsc, '-p', 'tsconfig.library.json'], { cwd: ROOT });
  pruneDeclarations(
    join(LIB, 'types'),
    LIBRARY.map((name) => join('library', `${name}.d.ts`)),
  );
}

rmSync(LIB, { recursive: true, force: true });
await Promise.all([
  bundle({ main: 'cli/main.ts', ...threadEntries() }, 'commands'),
  // Apart from the commands: a page that takes the engine must get nothing of Node.
  bundle(Object.fromEntries(LIBRARY.map((name) => [name, `library/${name}.ts`])), 'library'),
  bundle({ worker: 'library/worker.ts' }, 'library', true),
  declare(),
]);
writeFileSync(join(LIB, 'commit'), `${readCommit(ROOT) ?? ''}\n`);
if (pageIsStale(ROOT)) await buildPage(ROOT, () => {});
