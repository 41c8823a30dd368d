import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dawnEnvironment, findChrome } from '../../scripts/find-chrome.mjs';
import { PACKAGE_ROOT } from '../../src/config/installation.ts';
import { VERSION } from '../../src/config/version.ts';
import { launchChromium } from '../support/chromium.ts';
import { until } from '../support/processes.ts';
import { runShoal, type ShoalRun } from '../support/run-shoal.ts';

/**
 * What people get from the registry: the packed package, installed into an empty folder outside the checkout without running
 * any package's scripts. Needs npm's registry, as set-up does.
 */

const QUESTION = 'What is the capital of Japan?';
const ANSWER = 'The capital of Japan is Tokyo.';
const MAX_PACKED_BYTES = 14e6;
const MAX_FILES_BESIDE_THE_PAGE = 100;
const MAX_FILE_BYTES = 1e6;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

let folder: string;
/** Where it is installed. */
let elsewhere: string;
let packed: Packed;
const running: ShoalRun[] = [];

/** npm tells the programs it runs who it is; a person's shell does not. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
const run = (program: string, args: readonly string[], cwd: string, more: NodeJS.ProcessEnv = {}) =>
  execFileSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-package-'));
  elsewhere = join(folder, 'elsewhere');
  mkdirSync(elsewhere);
  const told = run('npm', ['pack', '--json', '--pack-destination', folder], PACKAGE_ROOT);
  [packed] = JSON.parse(told.slice(told.indexOf('[')));
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  run('npm', ['install', ...options, join(folder, packed.filename)], elsewhere);
});
afterAll(async () => {
  for (const { child, ended } of running) {
    child.kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function shoal(...args: string[]): ShoalRun {
  const command = join(elsewhere, 'node_modules', '.bin', 'shoal');
  const started = runShoal(args, [command], { SHOAL_LOG: 'pretty' }, elsewhere);
  running.push(started);
  return started;
}

const installed = (path: string) => join(elsewhere, 'node_modules', 'shoal', path);
/** A code block of docs/embedding.md, by the name in its first line. */
function example(name: string): string {
  const page = readFileSync(installed('docs/embedding.md'), 'utf8');
  return page
    .split('```js\n')
    .find((block) => block.startsWith(`// ${name}\n`))!
    .split('```')[0]!;
}

describe('the package', () => {
  it('holds what runs, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths).toContain('dist/index.html');
    expect(paths).toContain('models/minnow/model.safetensors');
    expect(paths.filter((path) => /^dist\/assets\/worker-.*\.js$/.test(path))).toHaveLength(1);
    expect(paths.filter((path) => !path.startsWith('dist/')).length).toBeLessThanOrEqual(
      MAX_FILES_BESIDE_THE_PAGE,
    );
    expect(packed.size).toBeLessThanOrEqual(MAX_PACKED_BYTES);
    expect(paths.filter((path) => /^(src|test|tools|bench|scripts)\/|\.test\.|\.map$/.test(path))).toEqual(
      [],
    );
    expect(paths.filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))).toEqual([]);
    const large = packed.files.filter(({ size }) => size > MAX_FILE_BYTES).map(({ path }) => path);
    expect(large).toEqual(['models/minnow/model.safetensors']);
  });

  it('depends on what it runs, and runs nothing when it is installed', () => {
    const { dependencies, scripts } = JSON.parse(readFileSync(installed('package.json'), 'utf8'));
    expect(Object.keys(scripts).filter((name) => /install|prepare/.test(name))).toEqual([]);
    const lib = installed('lib');
    const imported = readdirSync(lib, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.js'))
      .flatMap((name) => importsOf(join(lib, name)))
      .filter((name) => !/^(\.|node:)/.test(name))
      .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0]);
    expect([...new Set(imported)].sort()).toEqual(Object.keys(dependencies).sort());
  });

  it('has every thread that the commands start', () => {
    const names = (path: string) =>
      statSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path);
    const sources = names(join(PACKAGE_ROOT, 'src/threads')).filter((name) => name.endsWith('.ts'));
    expect(names(installed('lib/threads')).sort()).toEqual(
      sources.map((name) => name.replace(/ts$/, 'js')).sort(),
    );
  });

  it('tells its version and commit', async () => {
    const told = shoal('--version');
    expect(await told.ended, told.output.stderr).toBe(0);
    expect(told.output.stdout).toMatch(
      new RegExp(`^shoal ${VERSION.replaceAll('.', '\\.')} \\(commit ([0-9a-f]{12}\\+?|unknown)\\)\n$`),
    );
  });

  it('answers a question through three tabs', async () => {
    const asked = shoal('up', '--port', '0', '--once', QUESTION);
    expect(await asked.ended, asked.output.stderr).toBe(0);
    expect(asked.output.stdout).toBe(`${ANSWER}\n`);
    for (const tab of ['tab-1', 'tab-2', 'tab-3']) expect(asked.output.stderr).toContain(`${tab}: serving`);
  });
});

describe('the library', () => {
  it('declares its types', () => {
    for (const name of ['engine.mjs', 'contribute.mjs']) writeFileSync(join(elsewhere, name), example(name));
    const compilerOptions = {
      ...{ module: 'NodeNext', target: 'ES2023', strict: true, noEmit: true },
      ...{ allowJs: true, checkJs: true, skipLibCheck: false, types: [] },
    };
    const files = ['engine.mjs', 'contribute.mjs'];
    writeFileSync(join(elsewhere, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const tsc = join(PACKAGE_ROOT, 'node_modules/typescript/bin/tsc');
    const told = (() => {
      try {
        return run(process.execPath, [tsc, '-p', elsewhere], elsewhere);
      } catch (error) {
        return (error as { stdout: string }).stdout;
      }
    })();
    expect(told).toBe('');
  });

  it('brings nothing of Node into a page', () => {
    const seen = new Set(['engine.js', 'mesh.js', 'worker.js'].map((name) => installed(`lib/${name}`)));
    for (const file of seen) {
      for (const name of importsOf(file)) {
        expect(name, file).not.toMatch(/^node:|^(undici|ws|hono|pino|puppeteer-core)/);
        if (name.startsWith('.')) seen.add(join(dirname(file), name));
      }
    }
    expect(seen.size).toBeGreaterThan(3);
  });

  it('runs a model under Node, as docs/embedding.md does', () => {
    symlinkSync(join(PACKAGE_ROOT, 'node_modules/webgpu'), join(elsewhere, 'node_modules/webgpu'));
    for (const name of ['engine.mjs', 'gpu.mjs']) writeFileSync(join(elsewhere, name), example(name));
    const dawn = dawnEnvironment(findChrome()!.path);
    // Dawn crashes now and then while Node takes it down, after everything is said.
    writeFileSync(join(elsewhere, 'end.mjs'), "await import('./engine.mjs');\nprocess.exit();\n");
    expect(run(process.execPath, ['--import', './gpu.mjs', 'end.mjs'], elsewhere, dawn)).toBe(`${ANSWER}\n`);
  });

  it('lends the GPU of a page of another site, as docs/embedding.md does', async () => {
    let script = '';
    const site = createServer((request, response) => {
      const isScript = request.url?.endsWith('.js') ?? false;
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      if (request.url === '/shoal-worker.js') response.end(readFileSync(installed('lib/worker.js')));
      else response.end(isScript ? script : '<script type="module" src="/page.js"></script>');
    });
    const origin = await listen(site);
    const served = shoal('serve', '--port', '0', '--allow-origin', origin);
    const address = () => /page (http:\S+)/.exec(served.output.stderr)?.[1];
    await until('the server runs', () => address() !== undefined || served.child.exitCode !== null);
    const url = address()!;
    script = await bundled(example('contribute.mjs').replace('https://shoal.example', url));

    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(String(error)));
      await page.goto(origin);
      await page
        .waitForFunction(() => /^(serving|failed)/.test(document.title), { timeout: 60_000 })
        .catch(() => undefined);
      expect(await page.title(), complaints.join('\n')).toBe('serving: Serving layers 0–7 of minnow.');
      const chat = shoal('chat', QUESTION, '--server', url);
      expect(await chat.ended, chat.output.stderr).toBe(0);
      expect(chat.output.stdout).toBe(`${ANSWER}\n`);
    } finally {
      await browser.close();
      site.close();
    }
  });
});

function importsOf(file: string): string[] {
  const code = readFileSync(file, 'utf8');
  return [
    ...code.matchAll(/^(?:import|export)\b[^;'"]*?(?:from\s*)?"([^"]+)"/gm),
    ...code.matchAll(/\bimport\("([^"]+)"\)/g),
  ].map(([, from]) => from!);
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** As whoever has a page does, with the packages that were installed beside the example. */
async function bundled(code: string): Promise<string> {
  const entry = join(elsewhere, 'page.mjs');
  writeFileSync(entry, code);
  const result = await build({
    root: elsewhere,
    configFile: false,
    logLevel: 'error',
    build: { write: false, target: 'es2023', lib: { entry, formats: ['es'], fileName: 'page' } },
  });
  const [{ output }] = result as unknown as [{ output: [{ code: string }] }];
  return output[0].code;
}
