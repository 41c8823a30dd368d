/** Which Shoal this is. For Node only. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { readCommit } from '../../scripts/commit.mjs';
import { IS_PACKAGE, PACKAGE_ROOT } from './installation.ts';

/** As semver writes it; CONTRIBUTING.md says when it changes. */
export const VERSION = packageJson.version;

/** E.g. `shoal 0.1.0 (commit 0123456789ab)`. A package knows the commit it was built from, a checkout asks git. */
export function versionText(): string {
  const commit = IS_PACKAGE
    ? readFileSync(join(PACKAGE_ROOT, 'lib/commit'), 'utf8').trim()
    : readCommit(PACKAGE_ROOT);
  return `shoal ${VERSION} (${commit ? `commit ${commit}` : 'commit unknown'})`;
}
