/**
 * Builds what the package holds beside its data: the page (dist) and, in lib, the command line and the threads of Node as
 * JavaScript. Run by `npm pack` and `npm publish` (prepack); a checkout runs its TypeScript as it is and needs none of it.
 *
 * Usage: node scripts/build-package.mjs
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildPage, pageIsStale } from './build-page.mjs';
import { readCommit } from './commit.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIB = join(ROOT, 'lib');

/** @type {import('esbuild').BuildOptions} */
const COMMON = {
  absWorkingDir: ROOT,
  outdir: LIB,
  bundle: true,
  format: 'esm',
  target: 'es2023',
  // A stack trace should name functions; readable code has no need of a map.
  minifySyntax: true,
  logLevel: 'warning',
};

/** Commands and threads; what they import stays a dependency, which npm installs and keeps up to date. */
async function buildForNode() {
  const folder = join(ROOT, 'src', 'threads');
  const threads = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [`threads/${basename(name, '.ts')}`, `src/threads/${name}`]);
  await build({
    ...COMMON,
    entryPoints: { main: 'src/cli/main.ts', ...Object.fromEntries(threads) },
    platform: 'node',
    packages: 'external',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
  });
}

rmSync(LIB, { recursive: true, force: true });
await buildForNode();
writeFileSync(join(LIB, 'commit'), `${readCommit(ROOT) ?? ''}\n`);
if (pageIsStale(ROOT)) await buildPage(ROOT, () => {});
