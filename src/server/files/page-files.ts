/** The built page. All files are read once, when the server starts: no request ever becomes a path. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { ShoalError } from '../../config/errors.ts';
import { MAX_PAGE_BYTES } from '../../config/limits.ts';
import { CODED_SUFFIX, CONTENT_CODINGS, type ContentCoding } from './content-coding.ts';

type Bytes = Uint8Array<ArrayBuffer>;

export interface PageFile {
  readonly bytes: Bytes;
  /** The same, compressed: made by the build (scripts/compress-page.mjs), so that starting costs nothing. */
  readonly coded: ReadonlyMap<ContentCoding, Bytes>;
  readonly contentType: string;
  /** Of the content, without quotes; each coding's ETag is made of it. */
  readonly hash: string;
  readonly cacheControl: string;
}

/** URL path → file; `/` is `index.html`. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wgsl': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
};

const DECODE = { br: promisify(brotliDecompress), gzip: promisify(gunzip) } as const;

/** @returns no files where the directory does not exist. @throws CONFIG_INVALID above MAX_PAGE_BYTES */
export async function readPageFiles(directory: string): Promise<PageFiles> {
  const found = await readAll(directory);
  const files = new Map<string, PageFile>();
  for (const [url, bytes] of found) {
    if (
      CONTENT_CODINGS.some(
        (coding) =>
          found.has(url.slice(0, -CODED_SUFFIX[coding].length)) && url.endsWith(CODED_SUFFIX[coding]),
      )
    )
      continue;
    const coded = new Map<ContentCoding, Bytes>();
    for (const coding of CONTENT_CODINGS) {
      const compressed = found.get(url + CODED_SUFFIX[coding]);
      if (compressed !== undefined && (await decodesTo(coding, compressed, bytes)))
        coded.set(coding, compressed);
    }
    files.set(url, {
      bytes,
      coded,
      contentType: CONTENT_TYPES[extname(url)] ?? 'application/octet-stream',
      hash: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
      cacheControl: cacheControlOf(url),
    });
  }
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}

/** URL path → bytes. */
async function readAll(directory: string): Promise<ReadonlyMap<string, Bytes>> {
  const found = new Map<string, Bytes>();
  let total = 0;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    // Not links: they could lead out of the directory.
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = new Uint8Array(await readFile(path));
    total += bytes.length;
    if (total > MAX_PAGE_BYTES) {
      throw new ShoalError(
        'CONFIG_INVALID',
        `the page in ${directory} has more than ${MAX_PAGE_BYTES} B; is that the directory of the build?`,
      );
    }
    found.set(`/${relative(directory, path).split(sep).join('/')}`, bytes);
  }
  return found;
}

/** A compressed file that an older build left would be another page. */
async function decodesTo(coding: ContentCoding, compressed: Bytes, bytes: Bytes): Promise<boolean> {
  const decoded = await DECODE[coding](compressed, { maxOutputLength: bytes.length + 1 }).catch(() => null);
  return decoded?.equals(bytes) ?? false;
}

function cacheControlOf(url: string): string {
  // The build puts a hash of the content into these names.
  if (url.startsWith('/assets/')) return 'public, max-age=31536000, immutable';
  // The page itself must fit the server that it talks to. Not `no-store`: that would keep Back from bringing it back as it was.
  return 'no-cache';
}
