import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { ShoalError } from '../../config/errors.ts';
import { JSON_SLICE_BYTES } from '../../config/limits.ts';
import { JsonBounds } from './json-bounds.ts';

export interface BodyBounds {
  readonly maxBytes: number;
  readonly maxValues: number;
}

export interface JsonBody {
  readonly body: unknown;
  readonly text: string;
}

/**
 * The request's body as JSON, and the text itself, for those who send it on.
 *
 * Node's parser lets no body grow beyond its Content-Length, so one that tells its length is read at once; `bodyLimit`
 * would first build a Request and a stream around it, which costs as much as sending the request on.
 *
 * @throws BODY_TOO_LARGE, ABORTED, INVALID_REQUEST for what is no JSON or beyond `JsonBounds`
 */
export async function readJsonBody(c: Context, { maxBytes, maxValues }: BodyBounds): Promise<JsonBody> {
  const declared = c.req.header('content-length');
  if (declared === undefined || c.req.header('transfer-encoding') !== undefined) {
    await bodyLimit({ maxSize: maxBytes, onError: () => tooLarge(maxBytes) })(c, async () => {});
  } else if (Number(declared) > maxBytes) tooLarge(maxBytes);
  try {
    const text = await boundedText(new Uint8Array(await c.req.arrayBuffer()), maxValues);
    return { body: JSON.parse(text), text };
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    if (c.req.raw.signal.aborted) throw new ShoalError('ABORTED', 'the client hung up', { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('INVALID_REQUEST', `the request body is not JSON: ${reason}`, { cause });
  }
}

/** A slice at a time: between two of a large body others are served. */
async function boundedText(bytes: Uint8Array, maxValues: number): Promise<string> {
  const bounds = new JsonBounds(maxValues);
  const utf8 = new TextDecoder();
  let text = '';
  for (let at = 0; at < bytes.length; at += JSON_SLICE_BYTES) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    const slice = bytes.subarray(at, at + JSON_SLICE_BYTES);
    bounds.push(slice);
    text += utf8.decode(slice, { stream: true });
  }
  return text + utf8.decode();
}

function tooLarge(maxBytes: number): never {
  throw new ShoalError('BODY_TOO_LARGE', `a request body has at most ${maxBytes} B; send less`);
}
