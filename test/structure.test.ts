import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** What a folder of src may import beside itself: docs/ARCHITECTURE.md, "Folders". */
const BELOW: Record<string, readonly string[]> = {
  config: [],
  model: ['config'],
  gpu: ['model', 'config'],
  mesh: ['model', 'config'],
  schedule: ['model', 'config'],
  backend: ['schedule', 'model', 'config'],
  threads: ['backend', 'model', 'config'],
  worker: ['mesh', 'gpu', 'backend', 'model', 'config'],
  server: ['mesh', 'gpu', 'backend', 'schedule', 'model', 'config'],
  page: ['worker', 'mesh', 'gpu', 'backend', 'model', 'config'],
  library: ['page', 'worker', 'mesh', 'gpu', 'model', 'config'],
  sim: ['server', 'worker', 'mesh', 'schedule', 'gpu', 'backend', 'model', 'config'],
  cli: ['server', 'page', 'worker', 'mesh', 'backend', 'model', 'config'],
};

/** The same between the rooms of the server's mesh; its files without a room know them all, and of these no room knows one. */
const MESH_BELOW: Record<string, readonly string[]> = {
  peers: [],
  connections: ['peers'],
  holdings: ['peers'],
  routes: ['holdings', 'peers'],
  sequences: ['routes', 'peers'],
  told: ['routes', 'holdings', 'peers'],
  placing: ['routes', 'holdings', 'peers'],
  probing: ['sequences', 'routes', 'holdings', 'peers'],
  generations: ['told', 'sequences', 'routes', 'peers'],
};

/** What a browser loads: the page and the Web Worker that it starts, and what pages of others take from the package. */
const BROWSER_ENTRIES = [
  'page/main.tsx',
  'worker/worker.ts',
  'library/engine.ts',
  'library/mesh.ts',
  'library/worker.ts',
];
/** Packages of the dependencies that only Node.js runs. */
const NODE_PACKAGES =
  /^(node:.*|undici|ws|hono|pino|prom-client|puppeteer-core|commander|selfsigned|vite|@puppeteer\/.*|@hono\/.*)$/;

interface Import {
  /** Relative to src, or a package's name. */
  readonly to: string;
  /** Types are gone when the code runs. */
  readonly isType: boolean;
}

const SRC = new URL('../src/', import.meta.url);
const codeOf = (file: string): string => readFileSync(new URL(file, SRC), 'utf8');
const files = readdirSync(fileURLToPath(SRC), { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /(?<!\.d)\.tsx?$/.test(path));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): Import[] {
  const code = codeOf(file);
  const statements = code.matchAll(/^(?:import|export)\b(?<names>[^;'"]*?\bfrom\s)?\s*'(?<from>[^']+)'/gm);
  const lazy = code.matchAll(/\bimport\('(?<from>[^']+)'\)/g);
  return [...statements, ...lazy].map(({ groups }) => {
    const { from, names = '' } = groups as { from: string; names?: string };
    const braced = /^\s*\{(.*)\}\s*from\s$/s.exec(names)?.[1];
    const named = braced?.split(',').filter((name) => name.trim() !== '');
    return {
      to: from.startsWith('.') ? new URL(from, new URL(file, SRC)).href.replace(SRC.href, '') : from,
      isType: /^\s*type\s/.test(names) || (named?.every((name) => /^\s*type\s/.test(name)) ?? false),
    };
  });
}

const folderOf = (file: string): string => file.split('/')[0]!;
const loadedBy = (file: string): string[] =>
  imports
    .get(file)!
    .filter(({ isType }) => !isType)
    .map(({ to }) => to);

describe('imports in src', () => {
  it('are found', () => {
    expect(files.length).toBeGreaterThan(100);
    for (const entry of BROWSER_ENTRIES) expect(loadedBy(entry)).not.toEqual([]);
  });

  it('point one way, types too', () => {
    const upward = [...imports].flatMap(([file, found]) =>
      found
        .filter(({ to }) => imports.has(to) && folderOf(to) !== folderOf(file))
        .filter(({ to }) => !BELOW[folderOf(file)]?.includes(folderOf(to)))
        .map(({ to }) => `${file} imports ${to}`),
    );
    expect(upward).toEqual([]);
  });

  it('point one way between the rooms of the mesh, too', () => {
    const roomOf = (file: string) => /^server\/mesh\/(?:(\w+)\/)?/.exec(file)?.[1];
    const upward = files
      .filter((file) => roomOf(file) !== undefined)
      .flatMap((file) =>
        imports
          .get(file)!
          .filter(({ to }) => to.startsWith('server/mesh/') && roomOf(to) !== roomOf(file))
          .filter(({ to }) => !MESH_BELOW[roomOf(file)!]?.includes(roomOf(to) ?? ''))
          .map(({ to }) => `${file} imports ${to}`),
      );
    expect(upward).toEqual([]);
    expect(new Set(files.map(roomOf).filter((room) => room !== undefined))).toEqual(
      new Set(Object.keys(MESH_BELOW)),
    );
  });

  it('leave scheduling pure: no platform, no package', () => {
    const outside = files
      .filter((file) => folderOf(file) === 'schedule')
      .flatMap((file) => imports.get(file)!.filter(({ to }) => !imports.has(to)));
    expect(outside).toEqual([]);
  });

  it('bring nothing of Node.js into a browser', () => {
    const seen = new Map(BROWSER_ENTRIES.map((entry) => [entry, entry]));
    const found: string[] = [];
    // A map that grows while it is walked is walked to its end.
    for (const [file, way] of seen) {
      for (const to of loadedBy(file)) {
        if (NODE_PACKAGES.test(to)) found.push(`${way} → ${to}`);
        if (imports.has(to) && !seen.has(to)) seen.set(to, `${way} → ${to}`);
      }
    }
    expect(found).toEqual([]);
    expect([...seen.keys()]).toContain('backend/proxy/upstream.ts');
  });

  it('leave it to one module where things lie on disk: in the package the code lies elsewhere', () => {
    const asks = files.filter((file) => /import\.meta\.(url|dirname|filename)/.test(codeOf(file)));
    // The page's Web Worker is found by the page's bundler.
    expect(asks.sort()).toEqual([
      'config/installation.ts',
      'page/contribute.tsx',
      'page/contributor-state.ts',
    ]);
  });

  it('keep what reads prompts off the server’s own thread, which must stay awake', () => {
    const reachable = (entry: string): Set<string> => {
      const seen = new Set([entry]);
      for (const file of seen) for (const to of loadedBy(file)) if (imports.has(to)) seen.add(to);
      return seen;
    };
    const readers = ['model/text/tokenizer.ts', 'model/text/chat-template.ts'];
    for (const entry of ['cli/main.ts', 'server/server.ts']) {
      expect(readers.filter((file) => reachable(entry).has(file))).toEqual([]);
    }
    expect(readers.filter((file) => reachable('threads/prompts.ts').has(file))).toEqual(readers);
  });

  it('never go in a circle when the code runs', () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, way: readonly string[]): void => {
      if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' → '));
      if (done.has(file) || way.includes(file)) return;
      for (const to of loadedBy(file)) if (imports.has(to)) visit(to, [...way, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });
});
