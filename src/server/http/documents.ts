import type { Hono } from 'hono';
import { compress } from 'hono/compress';
import { etag } from 'hono/etag';

/** Answers to a GET that may be long: lists and descriptions, polled or read again and again. */
const COMPRESSED = [
  '/api/status',
  '/metrics',
  '/v1/models',
  '/api/tags',
  '/openapi.json',
  '/models/:id/manifest',
];
/** Of them, those that stay the same from one request to the next. */
const REVALIDATED = ['/openapi.json', '/models/:id/manifest'];

/**
 * Compresses what is listed and nothing else. An answer of a model never is: a compressor would hold its events back, and a
 * proxied backend chooses its own coding. Weight files do not get smaller.
 */
export function compressDocuments(app: Hono): void {
  // Around the compressor, so that each coding has an ETag of its own.
  for (const path of REVALIDATED) app.use(path, etag());
  for (const path of COMPRESSED) app.use(path, compress());
}
