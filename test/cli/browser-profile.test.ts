import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createProfile, temporaryFolder } from '../../src/cli/browser/browser-profile.ts';
import { MAX_TMPDIR_BYTES } from '../../src/config/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'profiles-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a browser’s profile', () => {
  it('is gone when it is removed', () => {
    mkdirSync(folder, { recursive: true });
    const profile = createProfile(null, folder);
    writeFileSync(join(profile.folder, 'Local State'), '{}');
    writeFileSync(join(profile.temporary, 'x'), '');
    profile.remove();
    expect(existsSync(profile.folder)).toBe(false);
  });

  it('of a process that was killed is removed at the next start, and nothing else is', () => {
    mkdirSync(folder, { recursive: true });
    // A process that has ended: its number is free.
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    const left = join(folder, `shoal-chrome-${pid}-AbC123`);
    const others = [
      `shoal-chrome-${process.ppid}-AbC123`,
      'shoal-chrome-notes',
      `${pid}`,
      `other-${pid}-AbC123`,
    ];
    for (const name of [left, ...others.map((name) => join(folder, name))]) mkdirSync(name);
    symlinkSync(`${hostname()}-${pid}`, join(left, 'SingletonLock'));
    // Chrome still ends, or runs in a container that shares the folder, where numbers mean other processes.
    const locked = [`shoal-chrome-${pid}-Ending`, `shoal-chrome-${pid}-Others`].map((name) =>
      join(folder, name),
    );
    for (const [at, lock] of [`${hostname()}-${process.ppid}`, `not-${hostname()}-${pid}`].entries()) {
      mkdirSync(locked[at]!);
      symlinkSync(lock, join(locked[at]!, 'SingletonLock'));
    }
    const profile = createProfile(null, folder);
    expect(existsSync(left)).toBe(false);
    for (const name of locked) expect(existsSync(name), name).toBe(true);
    for (const name of others) expect(existsSync(join(folder, name)), name).toBe(true);
    expect(existsSync(profile.folder)).toBe(true);
  });
});

describe.skipIf(process.platform !== 'linux')('a process’s number', () => {
  it('that came again does not keep what the killed one left', () => {
    mkdirSync(folder, { recursive: true });
    // This process, and its parent, with the starts of processes that had their numbers before.
    const left = [process.pid, process.ppid].map((pid) =>
      join(folder, `shoal-chrome-${pid}-0123abcd-AbC123`),
    );
    for (const name of left) mkdirSync(name);
    const own = createProfile(null, folder);
    const second = createProfile(null, folder);
    for (const name of left) expect(existsSync(name), name).toBe(false);
    expect(existsSync(own.folder)).toBe(true);
    second.remove();
    expect(existsSync(own.folder)).toBe(true);
  });

  it('does not lead out of the folder: a link of that name stays, and what it leads to', () => {
    mkdirSync(folder, { recursive: true });
    const precious = join(folder, 'precious');
    mkdirSync(precious);
    symlinkSync(precious, join(folder, `shoal-chrome-${process.pid}-0123abcd-AbC123`));
    createProfile(null, folder);
    expect(existsSync(precious)).toBe(true);
  });
});

describe.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)('for another user', () => {
  const owner = { uid: 65_534, gid: 65_534 };

  it('is gone when it is removed', () => {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    const profile = createProfile(owner, folder);
    mkdirSync(join(profile.folder, 'Default'));
    chownSync(join(profile.folder, 'Default'), owner.uid, owner.gid);
    writeFileSync(join(profile.folder, 'Default', 'Cookies'), '');
    profile.remove();
    expect(existsSync(profile.folder)).toBe(false);
  });

  // Node's rmSync looks at a folder and then opens it by name; in between its owner may put a link there.
  it('is emptied with that user’s rights', () => {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    const profile = createProfile(owner, folder);
    const roots = join(profile.folder, 'root');
    mkdirSync(roots, { mode: 0o755 });
    writeFileSync(join(roots, 'precious'), 'still here');
    profile.remove();
    expect(readFileSync(join(roots, 'precious'), 'utf8')).toBe('still here');
  });
});

describe.skipIf(process.platform === 'win32')('the folder for it', () => {
  const long = join(tmpdir(), 'a'.repeat(MAX_TMPDIR_BYTES));

  it('is a shorter one where Chrome’s socket would have too long a path', () => {
    mkdirSync(long, { recursive: true });
    try {
      expect(temporaryFolder(long)).toBe('/tmp');
      expect(temporaryFolder(tmpdir())).toBe(tmpdir());
    } finally {
      rmSync(long, { recursive: true });
    }
  });

  it('is asked for where none is short enough', () => {
    mkdirSync(long, { recursive: true });
    try {
      expect(() => temporaryFolder(long, long)).toThrow(
        expect.objectContaining({
          code: 'NO_BROWSER',
          message: expect.stringMatching(/path of \d+ bytes; .* room for \d+; set TMPDIR to a short one/),
        }),
      );
    } finally {
      rmSync(long, { recursive: true });
    }
  });
});
