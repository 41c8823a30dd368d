/**
 * What is stored of an answer, so that a restarted server can go on with it: the request and what it began with; once it has
 * ended, its events. Pure: bytes in, bytes out.
 *
 *   u32 length | JSON | for each event: u32 length | bytes
 */
import { z } from 'zod';
import { MAX_ANSWER_LOG_BYTES, MAX_CHOICES, MAX_CONTEXT_POSITIONS } from '../../config/limits.ts';

const u32 = z.number().int().min(0).max(0xffff_ffff);
const epochMs = z.number().int().nonnegative();
const digest = z.string().regex(/^[0-9a-f]{64}$/);

const headSchema = z.object({
  version: z.literal(1),
  identity: z.object({
    id: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
    owner: digest,
    isAddress: z.boolean(),
    key: digest,
    fingerprint: digest,
  }),
  request: z.object({
    path: z.string().startsWith('/').max(64),
    text: z.string(),
    lenders: z.string().nullable(),
  }),
  beginning: z.object({
    model: z.string(),
    id: z.string().max(64),
    created: z.number().int(),
    prompts: z.array(z.array(u32).min(1).max(MAX_CONTEXT_POSITIONS)).min(1).max(MAX_CHOICES),
    seeds: z.array(u32).max(MAX_CHOICES),
    sequences: z.array(u32.nullable()).max(MAX_CHOICES),
  }),
  /** When it was begun (Unix ms). */
  begunAt: epochMs,
  end: z
    .object({
      endedAt: epochMs,
      status: z.number().int().min(200).max(599),
      headers: z.array(z.tuple([z.string(), z.string()])).max(64),
    })
    .nullable(),
});

type Head = z.infer<typeof headSchema>;

export interface AnswerRecord extends Omit<Head, 'version' | 'end'> {
  /** Null while it runs. */
  readonly end: (NonNullable<Head['end']> & { readonly events: readonly Uint8Array[] }) | null;
}

const LENGTH_BYTES = 4;

export function encodeRecord({ end, ...rest }: AnswerRecord): Buffer {
  const { events = [], ...ended } = end ?? {};
  const head: Head = { version: 1, ...rest, end: end === null ? null : (ended as NonNullable<Head['end']>) };
  const parts = [Buffer.from(JSON.stringify(head)), ...events];
  return Buffer.concat(parts.flatMap((part) => [lengthOf(part), part]));
}

/** @throws Error, saying what is wrong, for anything but what `encodeRecord` gives */
export function decodeRecord(bytes: Uint8Array): AnswerRecord {
  const parts = partsOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const first = parts.next().value;
  if (first === undefined) throw new Error('it is empty');
  const { version: _, end, ...rest } = headOf(first);
  const events = [...parts];
  if (end === null && events.length > 0) throw new Error('it has events, and no end');
  return { ...rest, end: end && { ...end, events } };
}

/** @throws Error that repeats nothing of what is there */
function headOf(bytes: Buffer): Head {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    throw new Error('its head is no JSON');
  }
  const head = headSchema.safeParse(value);
  if (head.success) return head.data;
  const [issue] = head.error.issues;
  throw new Error(`its head is none of this version: ${issue?.path.join('.')}`);
}

function lengthOf(part: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(part.byteLength);
  return length;
}

function* partsOf(bytes: Buffer): Generator<Buffer, undefined> {
  for (let at = 0; at < bytes.length; ) {
    if (at + LENGTH_BYTES > bytes.length) throw new Error('it ends within a length');
    const start = at + LENGTH_BYTES;
    const length = bytes.readUInt32LE(at);
    if (length > bytes.length - start) throw new Error('it is cut off');
    if (at > 0 && length > MAX_ANSWER_LOG_BYTES) throw new Error('it has an event that is too large');
    at = start + length;
    yield bytes.subarray(start, at);
  }
}
