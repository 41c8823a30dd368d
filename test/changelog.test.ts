import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { releaseChangelog } from '../scripts/release-changelog.mjs';
import { PACKAGE_ROOT } from '../src/config/installation.ts';
import { VERSION } from '../src/config/version.ts';

const changelog = readFileSync(join(PACKAGE_ROOT, 'CHANGELOG.md'), 'utf8');
const sections = changelog.split(/^## /m).slice(1);
const versions = sections.slice(1).map((section) => /^\[(\d+\.\d+\.\d+)\]/.exec(section)?.[1]);

describe('CHANGELOG.md', () => {
  it('begins with what is unreleased, and has an entry of the version in package.json next', () => {
    expect(sections[0]).toMatch(/^\[Unreleased\]\n/);
    expect(versions[0]).toBe(VERSION);
  });

  it('gives each version its date, newest first', () => {
    for (const section of sections.slice(1))
      expect(section).toMatch(/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d\n/);
    const inOrder = [...versions].sort((a, b) => b!.localeCompare(a!, 'en', { numeric: true }));
    expect(versions).toEqual(inOrder);
  });

  it('has no headings but those of Keep a Changelog, and something under each', () => {
    for (const section of sections) {
      for (const part of section.split(/^### /m).slice(1)) {
        expect(part).toMatch(/^(Added|Changed|Deprecated|Removed|Fixed|Security)\n\n- /);
      }
    }
  });

  it('is of the version that the lock file has', () => {
    const lock = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8'));
    expect([lock.version, lock.packages[''].version]).toEqual([VERSION, VERSION]);
  });
});

describe('npm version', () => {
  const text = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- x\n\n## [0.1.0] - 2026-01-01\n\n- y\n';

  it('puts what is unreleased under the new version', () => {
    expect(releaseChangelog(text, '0.2.0', '2026-02-03')).toBe(
      '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- x\n\n## [0.1.0] - 2026-01-01\n\n- y\n',
    );
  });

  it('refuses a version without news, and one that is there', () => {
    const released = releaseChangelog(text, '0.2.0', '2026-02-03');
    expect(() => releaseChangelog(released, '0.3.0', '2026-02-04')).toThrow('nothing stands under');
    expect(() => releaseChangelog(text, '0.1.0', '2026-02-04')).toThrow('already');
  });
});
