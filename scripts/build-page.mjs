import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';

/** What the page is made of, relative to the root. The server's and the command line's code is not among it. */
const SOURCES = [
  'index.html',
  'vite.config.ts',
  join('scripts', 'compress-page.mjs'),
  'package-lock.json',
  'public',
  ...['backend', 'config', 'gpu', 'mesh', 'model', 'page', 'worker'].map((folder) => join('src', folder)),
];
const BUILT = join('dist', 'index.html');

/**
 * @param {string} root the repository's
 * @returns {boolean} whether dist/ lacks or is older than any source
 */
export function pageIsStale(root) {
  const built = mtime(join(root, BUILT));
  return built === 0 || SOURCES.some((source) => newest(join(root, source)) > built);
}

/**
 * @param {string} root
 * @param {(line: string) => void} onLine
 */
export async function buildPage(root, onLine) {
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  await runCommand(process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: root, onLine });
}

/** @param {string} path @returns {number} newest modification below `path`, ms; 0 when there is nothing */
function newest(path) {
  const own = mtime(path);
  if (own === 0 || !statSync(path).isDirectory()) return own;
  // A directory's own time tells of a deleted file.
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), own);
}

/** @param {string} path */
function mtime(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
