import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} root a checkout's
 * @param {NodeJS.ProcessEnv} env SHOAL_COMMIT says it where the files came without their repository (a container's build)
 * @returns {string | null} its commit, twelve digits, with `+` where files differ from it; null without git or a
 *   repository of its own (a copy inside another's repository is not of that one's commit)
 */
export function readCommit(root, env = process.env) {
  if (env.SHOAL_COMMIT) return env.SHOAL_COMMIT;
  if (!existsSync(join(root, '.git'))) return null;
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const commit = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}+`;
  } catch {
    return null;
  }
}
