/** The built page. All files are read once, when the server starts: no request ever becomes a path. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { ShoalError } from '../../config/errors.ts';
import { MAX_PAGE_BYTES } from '../../config/limits.ts';

export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  readonly etag: string;
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

/** @returns no files where the directory does not exist. @throws CONFIG_INVALID above MAX_PAGE_BYTES */
export async function readPageFiles(directory: string): Promise<PageFiles> {
  const files = new Map<string, PageFile>();
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
    const url = `/${relative(directory, path).split(sep).join('/')}`;
    const file = {
      bytes,
      contentType: CONTENT_TYPES[extname(path)] ?? 'application/octet-stream',
      etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
      cacheControl: cacheControlOf(url),
    };
    files.set(url, file);
    if (url === '/index.html') files.set('/', file);
  }
  return files;
}

function cacheControlOf(url: string): string {
  // The build puts a hash of the content into these names.
  if (url.startsWith('/assets/')) return 'public, max-age=31536000, immutable';
  // The page itself is small, and must fit the server that it talks to.
  return url.endsWith('.html') ? 'no-store' : 'no-cache';
}

/** @returns null when there is no such file */
export function pageResponse(
  files: PageFiles,
  path: string,
  ifNoneMatch: string | undefined,
): Response | null {
  const file = files.get(path);
  if (file === undefined) return null;
  const headers = {
    etag: file.etag,
    'cache-control': file.cacheControl,
  };
  const known = ifNoneMatch?.split(',').map((etag) => etag.trim().replace(/^W\//, ''));
  if (known?.includes(file.etag)) return new Response(null, { status: 304, headers });
  return new Response(file.bytes, { headers: { ...headers, 'content-type': file.contentType } });
}
