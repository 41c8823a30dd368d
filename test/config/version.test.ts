import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readCommit } from '../../scripts/commit.mjs';
import { VERSION, versionText } from '../../src/config/version.ts';

let root: string;
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', ...args], {
    cwd: root,
    encoding: 'utf8',
  });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-version-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it('names version and commit', () => {
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  expect(versionText()).toMatch(/^shoal \d+\.\d+\.\d+\S* \(commit ([0-9a-f]{12}\+?|unknown)\)$/);
});

it('reads the commit of a checkout, and tells where files differ from it', () => {
  git('init', '-q');
  writeFileSync(join(root, 'file'), 'one');
  git('add', '.');
  git('commit', '-qm', 'one');
  const head = git('rev-parse', 'HEAD').slice(0, 12);
  expect(readCommit(root)).toBe(head);
  writeFileSync(join(root, 'file'), 'two');
  expect(readCommit(root)).toBe(`${head}+`);
});

it('knows none without git, or inside the repository of something else', () => {
  expect(readCommit(root)).toBeNull();
  git('init', '-q');
  mkdirSync(join(root, 'copy'));
  expect(readCommit(join(root, 'copy'))).toBeNull();
});
