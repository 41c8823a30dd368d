/**
 * `npm version` runs it: what is unreleased becomes the new version's entry.
 *
 * Usage: node scripts/release-changelog.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const UNRELEASED = '## [Unreleased]';

/**
 * @param {string} changelog
 * @param {string} version e.g. "0.2.0"
 * @param {string} date e.g. "2026-12-01"
 * @throws where nothing is unreleased, or the version has an entry
 */
export function releaseChangelog(changelog, version, date) {
  if (changelog.includes(`## [${version}]`))
    throw new Error(`CHANGELOG.md has an entry of ${version} already`);
  const [before = '', after] = changelog.split(`${UNRELEASED}\n`);
  if (after === undefined) throw new Error(`CHANGELOG.md has no "${UNRELEASED}"`);
  const [entry = ''] = after.split('\n## ');
  if (!/^- /m.test(entry))
    throw new Error('nothing stands under "Unreleased" in CHANGELOG.md; write what is new');
  return `${before}${UNRELEASED}\n\n## [${version}] - ${date}\n${after}`;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const file = join(root, 'CHANGELOG.md');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  writeFileSync(
    file,
    releaseChangelog(readFileSync(file, 'utf8'), version, new Date().toISOString().slice(0, 10)),
  );
}
