/**
 * Whom Chrome runs as. Chrome's sandbox refuses root, so where Shoal runs as root its browser becomes an ordinary user:
 * the one who said `sudo`, or `nobody`. What that cannot start is started as before, and told.
 */
import { statSync } from 'node:fs';

/** What is looked at; tests give their own. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined on Windows. */
  readonly userId: number | undefined;
  /** A person looks at the browser: it needs the screen, which belongs to whoever started it. */
  readonly headful: boolean;
}

export interface BrowserUser {
  readonly uid: number;
  readonly gid: number;
  /** Further groups, for the GPU's devices. */
  readonly groups: readonly number[];
}

/** One way to start Chrome. */
export interface Attempt {
  /** Null: the user that Shoal runs as. */
  readonly user: BrowserUser | null;
  readonly sandbox: boolean;
  /** What to say when this is how it runs; null: nothing is missing. */
  readonly notice: string | null;
}

const NOBODY = 65_534;

/**
 * Ways to start Chrome, best first; each is tried when the one before did not start.
 * @param sandbox whether it is wanted
 * @param groups of the GPU's devices
 */
export function attempts(machine: Machine, sandbox: boolean, groups: readonly number[]): Attempt[] {
  if (machine.userId !== 0) return [{ user: null, sandbox, notice: null }];
  const asRoot: Attempt = {
    user: null,
    sandbox: false,
    notice:
      'Chrome runs as root and without its sandbox: a page that breaks out of it owns this machine; run Shoal as an ordinary user',
  };
  // setpriv is util-linux's.
  if (machine.platform !== 'linux' || machine.headful) return [asRoot];
  const user = { ...ordinaryUser(machine.env), groups };
  const asUser: Attempt = {
    user,
    sandbox: false,
    notice: sandbox
      ? `Chrome runs as user ${user.uid} and without its sandbox, which this machine does not allow (user namespaces, as in many containers): a page that breaks out of it has that user’s rights; docs/deploy.md says what allows it`
      : null,
  };
  return sandbox ? [{ user, sandbox: true, notice: null }, asUser, asRoot] : [asUser, asRoot];
}

/** `sudo` tells who called it. */
function ordinaryUser(env: Machine['env']): { uid: number; gid: number } {
  const [uid, gid] = [env.SUDO_UID, env.SUDO_GID].map((id) =>
    /^[1-9]\d{0,9}$/.test(id ?? '') ? Number(id) : null,
  );
  return uid && gid ? { uid, gid } : { uid: NOBODY, gid: NOBODY };
}

/** Groups that may open the GPU's devices, without root's. */
export function deviceGroups(devices: readonly string[]): number[] {
  const groups = devices.map((device) => statSync(device, { throwIfNoEntry: false })?.gid ?? 0);
  return [...new Set(groups)].filter((group) => group !== 0);
}

/** A command as that user, what it inherits (the pipe to Chrome) stays open. The shell finds setpriv. */
export function asUser({ uid, gid, groups }: BrowserUser, command: readonly string[]): string[] {
  const withGroups = groups.length > 0 ? `--groups=${groups.join(',')}` : '--clear-groups';
  const setpriv = [`--reuid=${uid}`, `--regid=${gid}`, withGroups, '--', ...command];
  return ['/bin/sh', '-c', 'exec setpriv "$@"', 'sh', ...setpriv];
}

/** The environment that another user gets: all of that user's processes can read it. */
export function withoutSecrets(env: Machine['env']): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/key|token|secret|passw|credential|auth/i.test(name)),
  );
}
