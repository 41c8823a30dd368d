import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { asUser, attempts, type Machine, withoutSecrets } from '../../src/cli/browser/browser-user.ts';

const root: Machine = { platform: 'linux', env: {}, userId: 0, headful: false };

describe('whom Chrome runs as', () => {
  it('is whoever runs Shoal, with the sandbox, and nothing else is tried', () => {
    expect(attempts({ ...root, userId: 1000 }, true, [])).toEqual([
      { user: null, sandbox: true, notice: null },
    ]);
    expect(attempts({ ...root, userId: undefined, platform: 'win32' }, true, [])).toHaveLength(1);
  });

  it('is another than root, in the sandbox; what falls short is tried later and told', () => {
    const [first, second, third] = attempts(root, true, [44]);
    expect(first).toEqual({ user: { uid: 65_534, gid: 65_534, groups: [44] }, sandbox: true, notice: null });
    expect(second).toMatchObject({ user: { uid: 65_534 }, sandbox: false });
    expect(second!.notice).toMatch(/user 65534 and without its sandbox.*docs\/deploy\.md/);
    expect(third).toMatchObject({ user: null, sandbox: false });
    expect(third!.notice).toMatch(/root and without its sandbox.*ordinary user/);
  });

  it('is who said sudo', () => {
    const env = { SUDO_UID: '1000', SUDO_GID: '1001' };
    expect(attempts({ ...root, env }, true, [])[0]!.user).toEqual({ uid: 1000, gid: 1001, groups: [] });
    // As root by way of root, or nonsense.
    for (const SUDO_UID of ['0', '-1', 'x', '1; id']) {
      expect(attempts({ ...root, env: { SUDO_UID, SUDO_GID: '1' } }, true, [])[0]!.user!.uid).toBe(65_534);
    }
  });

  it('gives no notice of a sandbox that nobody asked for, but one of root', () => {
    expect(attempts(root, false, []).map(({ notice }) => notice === null)).toEqual([true, false]);
  });

  it('stays root with a window, and where there is no setpriv', () => {
    for (const machine of [
      { ...root, headful: true },
      { ...root, platform: 'darwin' as const },
    ]) {
      const [only, ...others] = attempts(machine, true, []);
      expect(only).toMatchObject({ user: null, sandbox: false });
      expect(only!.notice).toContain('root');
      expect(others).toEqual([]);
    }
  });
});

it('hands every argument on as it is, with no script in a file', () => {
  const user = { uid: 65_534, gid: 65_534, groups: [44, 109] };
  const [shell, ...args] = asUser(user, ['/opt/it’s/chr"ome', 'a b', '$HOME']);
  const said = execFileSync(
    shell!,
    [args[0]!, args[1]!.replace('setpriv', "printf '%s|'"), ...args.slice(2)],
    {
      encoding: 'utf8',
    },
  );
  expect(said).toBe('--reuid=65534|--regid=65534|--groups=44,109|--|/opt/it’s/chr"ome|a b|$HOME|');
});

it('keeps keys and tokens out of the environment of another user', () => {
  const env = {
    PATH: '/bin',
    LANG: 'C',
    HF_TOKEN: 'x',
    SHOAL_API_KEY: 'x',
    AWS_SECRET_ACCESS: 'x',
    DB_PASSWORD: 'x',
  };
  expect(withoutSecrets(env)).toEqual({ PATH: '/bin', LANG: 'C' });
});
