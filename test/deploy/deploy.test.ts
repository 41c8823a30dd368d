/** What deploy/ and compose.yaml say of Shoal is true: commands that its command line takes, files that are there, metrics that it has. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { type Actions, createProgram } from '../../src/cli/program.ts';
import { openApp } from '../server/access/support.ts';
import { readExposition } from '../server/metrics/exposition.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

interface Service {
  readonly build?: { readonly target: string };
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly network_mode?: string;
  readonly stop_grace_period?: string;
  readonly profiles?: readonly string[];
  readonly image?: string;
}

const compose = parse(read('compose.yaml')) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

/** `${NAME:-default}` as compose fills it in where nothing is set. */
const filledIn = (text: string) => text.replaceAll(/\$\{\w+(?::-([^}]*))?\}/g, '$1');

/** Runs a command line up to the action that it chose. */
async function chosen(args: readonly string[]): Promise<{ command: string; flags: unknown }> {
  const calls: { command: string; flags: unknown }[] = [];
  const actions = new Proxy({} as Actions, {
    get: (_, command: string) => async (flags: unknown) => void calls.push({ command, flags }),
  });
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit code ${code}`);
  });
  try {
    await createProgram(actions).parseAsync(args, { from: 'user' });
  } finally {
    exit.mockRestore();
  }
  expect(calls).toHaveLength(1);
  return calls[0]!;
}

describe('compose.yaml', () => {
  it.each(['server', 'worker'])('starts a %s with a command that Shoal takes', async (name) => {
    const { command, build } = compose.services[name]!;
    const { command: action, flags } = await chosen(command!.map(filledIn));
    expect(action).toBe(name === 'server' ? 'serve' : 'worker');
    expect(flags).toMatchObject(name === 'server' ? { port: 8787, trustProxy: 1 } : { tabs: 3 });
    expect(read('Dockerfile')).toMatch(new RegExp(`^FROM \\S+ AS ${build!.target}$`, 'm'));
  });

  it('gives workers a secure context: the server’s own loopback', () => {
    const { network_mode: network, command } = compose.services.worker!;
    expect(network).toBe('service:server');
    expect(command).toContain('http://127.0.0.1:8787');
  });

  it('gives answers on their way longer than the server drains', async () => {
    const { flags } = await chosen(compose.services.server!.command!.map(filledIn));
    const grace = Number(/^(\d+)s$/.exec(compose.services.server!.stop_grace_period!)![1]);
    expect(grace).toBeGreaterThan((flags as { drainTimeout: number }).drainTimeout);
  });

  it('names files and volumes that are there, and no version that moves by itself', () => {
    for (const { volumes = [], security_opt = [], image } of Object.values(compose.services)) {
      for (const volume of volumes) {
        const source = volume.split(':')[0]!;
        const isThere = source.startsWith('./')
          ? existsSync(new URL(source, ROOT))
          : source in compose.volumes;
        expect(isThere, volume).toBe(true);
      }
      for (const option of security_opt) {
        const file = /^seccomp=(.*)/.exec(option)?.[1];
        if (file !== undefined) expect(existsSync(new URL(file, ROOT)), file).toBe(true);
      }
      if (image !== undefined) expect(image).toMatch(/:(?!latest)[\w.-]+$/);
    }
  });
});

describe('the images', () => {
  const dockerfile = read('Dockerfile');

  it('run commands that Shoal takes, as an ordinary user', async () => {
    const commands = [...dockerfile.matchAll(/^CMD (\[.*\])$/gm)].map(([, json]) => JSON.parse(json!));
    expect(await Promise.all(commands.map(async (args) => (await chosen(args)).command))).toEqual([
      'serve',
      'worker',
    ]);
    for (const stage of dockerfile.split(/^FROM /m).slice(2)) {
      const users = [...stage.matchAll(/^USER (\S+)$/gm)].map(([, user]) => user);
      expect(users.at(-1)).toBe('node');
    }
  });

  it('are built from all that the package is made of', () => {
    const left = new Set(
      read('.dockerignore')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    );
    const { files, scripts } = JSON.parse(read('package.json'));
    const built = ['dist', 'lib'];
    const needed = [...files, 'src', 'scripts', 'public', 'package.json', 'package-lock.json', '.npmrc'];
    for (const path of needed.map((file: string) => file.split('/')[0]!)) {
      if (!built.includes(path)) expect(left.has(path), path).toBe(false);
    }
    expect(scripts.prepack).toContain('scripts/build-package.mjs');
  });

  it('leave Chrome its sandbox: namespaces are allowed, what administers the kernel is not', () => {
    const { defaultAction, syscalls } = JSON.parse(read('deploy/seccomp-chromium.json'));
    const refused = syscalls.flatMap(({ names }: { names: string[] }) => names);
    expect(defaultAction).toBe('SCMP_ACT_ALLOW');
    for (const name of ['clone', 'clone3', 'unshare', 'chroot', 'setns']) expect(refused).not.toContain(name);
    for (const name of ['mount', 'bpf', 'init_module', 'kexec_load', 'reboot'])
      expect(refused).toContain(name);
    expect(read('Dockerfile')).not.toContain('--no-sandbox');
  });
});

describe('systemd units', () => {
  it.each(readdirSync(new URL('deploy/systemd', ROOT)))(
    '%s starts a command that Shoal takes',
    async (name) => {
      const unit = read(`deploy/systemd/${name}`);
      const environment = Object.fromEntries(
        [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, pairs]) =>
          pairs!.split(' ').map((pair) => pair.split('=', 2) as [string, string]),
        ),
      );
      const line = /^ExecStart=\/usr\/bin\/env shoal (.*)$/m.exec(unit)![1]!;
      // `${NAME}` is one word; `$NAME` as many as it has, here none.
      const args = line
        .split(' ')
        .filter((word) => !/^\$\w/.test(word))
        .map((word) => word.replaceAll(/\$\{(\w+)\}/g, (_, key) => environment[key]!));
      expect((await chosen(args)).command).toBe(args[0]);
      expect(unit).toMatch(/^User=(?!root)\w+$/m);
    },
  );
});

describe('monitoring', () => {
  it('asks for metrics that the server has', async () => {
    const { send } = openApp({ now: () => 1_000 });
    const known = new Set(readExposition(await (await send('/metrics')).text()).map(({ name }) => name));
    // Those with labels alone have no sample before something happens.
    const declared = (await (await send('/metrics')).text()).matchAll(/^# TYPE (\S+) (\w+)$/gm);
    for (const [, name, type] of declared) {
      known.add(name!);
      if (type === 'histogram') for (const end of ['bucket', 'sum', 'count']) known.add(`${name}_${end}`);
    }
    const dashboard = JSON.parse(read('deploy/grafana/dashboards/shoal.json'));
    const alerts = parse(read('deploy/prometheus/alerts.yml'));
    const expressions: string[] = [
      ...dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
        targets.map(({ expr }) => expr),
      ),
      ...alerts.groups.flatMap(({ rules }: { rules: { expr: string }[] }) => rules.map(({ expr }) => expr)),
    ];
    expect(expressions.length).toBeGreaterThan(30);
    const asked = new Set(
      expressions.flatMap((expr) =>
        [...expr.matchAll(/\b(?:vllm:|shoal_|gen_ai_|process_|nodejs_)\w+/g)].map(([name]) => name),
      ),
    );
    expect([...asked].filter((name) => !known.has(name))).toEqual([]);
    expect(asked.size).toBeGreaterThan(12);
  });

  it('lets nobody but the monitoring profile start what it does not need', () => {
    const always = Object.entries(compose.services)
      .filter(([, { profiles }]) => profiles === undefined)
      .map(([name]) => name);
    expect(always).toEqual(['server', 'worker']);
  });
});

it('no file of a deployment holds a path of a developer’s machine or a secret', () => {
  const folder = new URL('deploy/', ROOT);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.\w+$/.test(file),
  );
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    expect(readFileSync(fileURLToPath(new URL(file, folder)), 'utf8')).not.toMatch(
      /\/home\/(?!node)\w|sk-\w{8}/,
    );
  }
});
