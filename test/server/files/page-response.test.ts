import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compressPage } from '../../../scripts/compress-page.mjs';
import { type PageFiles, readPageFiles } from '../../../src/server/files/page-files.ts';
import { pageResponse } from '../../../src/server/files/page-response.ts';

const SCRIPT = 'export const answer = 42;\n'.repeat(200);
const BROWSER = 'gzip, deflate, br, zstd';

let directory: string;
let files: PageFiles;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-page-'));
  await mkdir(join(directory, 'assets'));
  await writeFile(join(directory, 'index.html'), '<p>short</p>');
  await writeFile(join(directory, 'assets/main-abc.js'), SCRIPT);
  await writeFile(join(directory, 'assets/old-def.js'), 'a();\n'.repeat(500));
  await writeFile(join(directory, 'font.woff2'), 'f'.repeat(5_000));
  compressPage(directory);
  // A build that was stopped between the file and its compressed forms.
  await writeFile(join(directory, 'assets/old-def.js'), 'b();\n'.repeat(500));
  await writeFile(join(directory, 'assets/broken.js'), 'c();\n');
  await writeFile(join(directory, 'assets/broken.js.br'), 'not brotli');
  files = await readPageFiles(directory);
});
afterAll(() => rm(directory, { recursive: true }));

function get(path: string, headers: Record<string, string> = {}): Response {
  const sent = new Headers(headers);
  const response = pageResponse(files, { path, header: (name) => sent.get(name) ?? undefined });
  if (response === null) throw new Error(`nothing at ${path}`);
  return response;
}
const encodingOf = (path: string, accept?: string) =>
  get(path, accept === undefined ? {} : { 'accept-encoding': accept }).headers.get('content-encoding');

describe('a file of the page', () => {
  it('comes compressed to who takes it, and says that it depends on that', async () => {
    const brotli = get('/assets/main-abc.js', { 'accept-encoding': BROWSER });
    expect(brotli.headers.get('content-encoding')).toBe('br');
    const bytes = new Uint8Array(await brotli.arrayBuffer());
    expect(brotliDecompressSync(bytes).toString()).toBe(SCRIPT);
    expect(brotli.headers.get('content-length')).toBe(String(bytes.length));
    const gzip = get('/assets/main-abc.js', { 'accept-encoding': 'gzip' });
    expect(gunzipSync(new Uint8Array(await gzip.arrayBuffer())).toString()).toBe(SCRIPT);
    const plain = get('/assets/main-abc.js');
    expect(await plain.text()).toBe(SCRIPT);
    expect(plain.headers.get('content-encoding')).toBeNull();
    for (const { headers } of [brotli, gzip, plain]) {
      expect(headers.get('vary')).toBe('Accept-Encoding');
      expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8');
      expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    }
    expect(bytes.length).toBeLessThan(SCRIPT.length / 10);
  });

  it('has an ETag for each coding, and is not sent again to who has that coding', () => {
    const etags = [BROWSER, 'gzip', 'identity'].map((accept) => {
      const etag = get('/assets/main-abc.js', { 'accept-encoding': accept }).headers.get('etag')!;
      const again = get('/assets/main-abc.js', { 'accept-encoding': accept, 'if-none-match': etag });
      expect(again.status).toBe(304);
      expect(again.headers.get('etag')).toBe(etag);
      expect(again.headers.get('vary')).toBe('Accept-Encoding');
      expect(again.headers.get('content-encoding')).toBeNull();
      return etag;
    });
    expect(new Set(etags).size).toBe(3);
    const [brotli] = etags as [string];
    const known = (header: string) =>
      get('/assets/main-abc.js', { 'accept-encoding': BROWSER, 'if-none-match': header }).status;
    expect(known(`W/${brotli}`)).toBe(304);
    expect(known(`"other", ${brotli}`)).toBe(304);
    expect(known('*')).toBe(304);
    expect(known('"other"')).toBe(200);
    expect(known(etags[1]!)).toBe(200);
  });

  it('comes whole whatever part of it is asked for, and whatever date', async () => {
    const part = get('/assets/main-abc.js', {
      range: 'bytes=0-3',
      'if-modified-since': new Date().toUTCString(),
    });
    expect(part.status).toBe(200);
    expect(await part.text()).toBe(SCRIPT);
  });

  it('that is short or compressed already has one form', () => {
    expect(encodingOf('/', BROWSER)).toBeNull();
    expect(get('/').headers.get('vary')).toBeNull();
    expect(encodingOf('/font.woff2', BROWSER)).toBeNull();
  });

  it('is asked for again where its name may stay while it changes', () => {
    for (const path of ['/', '/index.html', '/font.woff2']) {
      expect(get(path).headers.get('cache-control')).toBe('no-cache');
      expect(get(path).headers.get('etag')).toMatch(/^"[\w-]+"$/);
    }
  });

  it('is never replaced by compressed bytes of another build', () => {
    expect(encodingOf('/assets/old-def.js', BROWSER)).toBeNull();
    expect(encodingOf('/assets/broken.js', BROWSER)).toBeNull();
  });

  it('has no address of its own in compressed form', () => {
    expect(files.has('/assets/main-abc.js.br')).toBe(false);
    expect(files.has('/assets/main-abc.js.gz')).toBe(false);
  });
});
