/** What workers fetch: the manifest of their shard, and byte ranges of the weight files. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import type { ModelDirectory } from '../../model/directory.ts';
import { shardSchema } from '../../model/shard.ts';
import { parseRange } from './byte-range.ts';

/** The part of `ModelDirectory` that the routes need. */
export type ServedFiles = Pick<ModelDirectory, 'model' | 'spec' | 'manifest' | 'filePath'>;

const layer = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number);
const flag = z.enum(['0', '1']).transform((value) => value === '1');
const querySchema = z.object({ start: layer, end: layer, embedding: flag, head: flag }).pipe(shardSchema);

/** What has files for workers at this moment. */
export interface FileSource {
  readonly served: ServedFiles | null;
  files(model: string): ServedFiles | null;
}

/** Routes below `/models`. */
export function modelRoutes(source: FileSource): Hono {
  const app = new Hono();
  const filesOf = (id: string): ServedFiles => {
    const files = source.files(id);
    if (files !== null) return files;
    const there =
      source.served === null ? 'forwards requests and has no files' : `serves ${source.served.model}`;
    throw new ShoalError('MODEL_NOT_FOUND', `no model "${id.slice(0, 80)}" here; this server ${there}`);
  };

  app.get('/:id/manifest', async (c) => {
    const files = filesOf(c.req.param('id'));
    const query = querySchema.safeParse(c.req.query());
    if (!query.success) {
      const issue = query.error.issues[0];
      throw new ShoalError(
        'INVALID_REQUEST',
        `${issue?.path.join('.') || 'the query'}: ${issue?.message}; wanted: ?start=0&end=3&embedding=1&head=0`,
      );
    }
    const shard = query.data;
    if (shard.end > files.spec.layers) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `there are no layers [${shard.start}, ${shard.end}); ${files.model} has ${files.spec.layers}`,
        { param: 'end' },
      );
    }
    return c.json(await files.manifest(shard), 200, { 'cache-control': 'no-cache' });
  });

  app.get('/:id/:file', (c) => {
    const files = filesOf(c.req.param('id'));
    return weightFile(c, files.filePath(c.req.param('file')));
  });
  return app;
}

async function weightFile(c: Context, path: string): Promise<Response> {
  const stats = await stat(path);
  const etag = `"${stats.size.toString(16)}-${Math.floor(stats.mtimeMs).toString(16)}"`;
  const headers = {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    etag,
    // Workers keep checked tensors in a cache of their own; the browser's would hold the same bytes again.
    'cache-control': 'no-store',
  };
  const ifRange = c.req.header('if-range');
  // RFC 9110 §13.1.5: a validator that does not match asks for the whole file, as it is now.
  const isStale = ifRange !== undefined && ifRange !== etag;
  const range = parseRange(isStale ? undefined : c.req.header('range'), stats.size);
  if (range === 'unsatisfiable') {
    return c.body(null, 416, { ...headers, 'content-range': `bytes */${stats.size}` });
  }
  const { start, end } = range === 'whole' ? { start: 0, end: stats.size } : range;
  const described = {
    ...headers,
    'content-length': String(end - start),
    ...(range !== 'whole' && { 'content-range': `bytes ${start}-${end - 1}/${stats.size}` }),
  };
  const status = range === 'whole' ? 200 : 206;
  // A stream that nobody reads would keep the file open.
  if (c.req.method === 'HEAD' || end === start) return c.body(null, status, described);
  const stream = Readable.toWeb(createReadStream(path, { start, end: end - 1 }));
  return new Response(stream as ReadableStream<Uint8Array>, { status, headers: described });
}
