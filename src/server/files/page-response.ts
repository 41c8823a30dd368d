import { chooseCoding } from './content-coding.ts';
import type { PageFile, PageFiles } from './page-files.ts';

export interface PageRequest {
  readonly path: string;
  readonly header: (name: 'accept-encoding' | 'if-none-match') => string | undefined;
}

/**
 * The whole file, in the coding that the client likes best. A Range is ignored, as RFC 9110 §14.2 allows: nothing here is
 * large, and ranges of compressed bytes help nobody. There is no Last-Modified to compare dates with; files of a package
 * have none that means anything.
 *
 * @returns null when there is no such file
 */
export function pageResponse(files: PageFiles, { path, header }: PageRequest): Response | null {
  const file = files.get(path);
  if (file === undefined) return null;
  const coding = chooseCoding(header('accept-encoding'), [...file.coded.keys()]);
  const bytes = coding === null ? file.bytes : file.coded.get(coding)!;
  const etag = etagOf(file, coding);
  const headers = {
    etag,
    'cache-control': file.cacheControl,
    // Also of an answer that is not compressed: a cache must not give it to everyone, nor another's to this client.
    ...(file.coded.size > 0 && { vary: 'Accept-Encoding' }),
  };
  if (isKnown(header('if-none-match'), etag)) return new Response(null, { status: 304, headers });
  return new Response(bytes, {
    headers: {
      ...headers,
      'content-type': file.contentType,
      'content-length': String(bytes.length),
      ...(coding !== null && { 'content-encoding': coding }),
    },
  });
}

/** Each coding has its own: a strong ETag promises the same bytes (RFC 9110 §8.8.3). */
function etagOf({ hash }: PageFile, coding: string | null): string {
  return coding === null ? `"${hash}"` : `"${hash}-${coding}"`;
}

/** RFC 9110 §13.1.2: weak comparison. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === etag);
}
