/**
 * The safetensors header, read from bytes that may lie. Format (huggingface/safetensors, README "Format"):
 * u64 little-endian header length N | N bytes of JSON { name: { dtype, shape, data_offsets: [start, end) } } | data.
 * Offsets count from the end of the header. The data has no holes and no overlaps, and ends where the file ends.
 */
import { ShoalError } from '../config/errors.ts';
import { MAX_SAFETENSORS_HEADER_BYTES, MAX_TENSOR_NAME_CHARS } from '../config/limits.ts';
import { duplicateJsonKey } from './json-keys.ts';

/** Bytes before the JSON: its length. */
export const SAFETENSORS_PREFIX_BYTES = 8;

/** Bits a value; sub-byte types pack. */
const DTYPE_BITS = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BITS;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Byte range [start, end) in the file, header included. */
  readonly start: number;
  readonly end: number;
}

/** Names that would reach Object.prototype once they are keys of a plain object. */
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Checks the length before anything of that size is read or allocated.
 *
 * @param prefix the file's first 8 bytes (more are ignored)
 * @returns bytes of the JSON that follows
 * @throws SAFETENSORS_INVALID
 */
export function safetensorsHeaderBytes(prefix: Uint8Array, fileBytes: number, file = 'the file'): number {
  if (fileBytes < SAFETENSORS_PREFIX_BYTES || prefix.length < SAFETENSORS_PREFIX_BYTES) {
    throw invalid(
      `${file} has ${Math.min(fileBytes, prefix.length)} bytes; a safetensors file starts with an ${SAFETENSORS_PREFIX_BYTES}-byte header length, so it is truncated: download it again`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  // As bigint: a u64 above 2^53 would be rounded into a number that looks harmless.
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_SAFETENSORS_HEADER_BYTES)) {
    throw invalid(
      `${file} claims a header of ${length} bytes, at most ${MAX_SAFETENSORS_HEADER_BYTES} are read; it is not a safetensors file or is damaged`,
    );
  }
  const available = fileBytes - SAFETENSORS_PREFIX_BYTES;
  if (Number(length) > available) {
    throw invalid(
      `${file} claims a header of ${length} bytes, only ${available} follow its length; it is truncated: download it again`,
    );
  }
  return Number(length);
}

/**
 * @param bytes the file's beginning: length prefix and the whole header
 * @param fileBytes size of the whole file
 * @returns tensors in the order of their bytes; `__metadata__` is checked and dropped
 * @throws SAFETENSORS_INVALID
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileBytes: number,
  file = 'the file',
): SafetensorsTensor[] {
  const headerBytes = safetensorsHeaderBytes(bytes, fileBytes, file);
  const dataStart = SAFETENSORS_PREFIX_BYTES + headerBytes;
  if (bytes.length < dataStart) {
    throw invalid(
      `${file}: the header needs ${dataStart} bytes, ${bytes.length} were read; the file is truncated`,
    );
  }
  const header = parseHeaderJson(bytes.subarray(SAFETENSORS_PREFIX_BYTES, dataStart), file);
  const tensors: SafetensorsTensor[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') checkMetadata(value, file);
    else tensors.push(parseEntry(name, value, dataStart, fileBytes, file));
  }
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  checkCoverage(tensors, dataStart, fileBytes, file);
  return tensors;
}

function parseHeaderJson(json: Uint8Array, file: string): object {
  let text: string;
  let value: unknown;
  try {
    // ignoreBOM keeps a byte order mark in the text, where JSON.parse refuses it as the format does.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(
      `${file}: the ${json.length}-byte header is not JSON in UTF-8 (${reason(cause)})`,
      undefined,
      cause,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${file}: the header is JSON but not an object`);
  }
  const duplicate = duplicateJsonKey(text);
  if (duplicate !== undefined) {
    throw invalid(
      `${file}: the header has the key "${clip(duplicate)}" twice; each may appear once`,
      duplicate,
    );
  }
  return value;
}

function checkMetadata(value: unknown, file: string): void {
  const isTextMap =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string');
  if (!isTextMap) throw invalid(`${file}: __metadata__ must map strings to strings`, '__metadata__');
}

function parseEntry(
  name: string,
  value: unknown,
  dataStart: number,
  fileBytes: number,
  file: string,
): SafetensorsTensor {
  const what = `${file}: tensor "${clip(name)}"`;
  if (name.length === 0 || name.length > MAX_TENSOR_NAME_CHARS || FORBIDDEN_NAMES.has(name)) {
    throw invalid(
      `${what} has a name that is not allowed (1 to ${MAX_TENSOR_NAME_CHARS} characters, not a property of every object)`,
      name,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${what} is not described by an object with dtype, shape and data_offsets`, name);
  }
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !isDtype(dtype)) {
    throw invalid(
      `${what} has dtype ${clip(JSON.stringify(dtype) ?? 'missing')}; known are ${Object.keys(DTYPE_BITS).join(', ')}`,
      name,
    );
  }
  if (!isCountList(shape)) {
    throw invalid(
      `${what} has shape ${clip(JSON.stringify(shape) ?? 'missing')}; a list of whole numbers ≥ 0 is needed`,
      name,
    );
  }
  if (!isCountList(offsets) || offsets.length !== 2) {
    throw invalid(
      `${what} has data_offsets ${clip(JSON.stringify(offsets) ?? 'missing')}; two whole numbers ≥ 0 are needed`,
      name,
    );
  }
  const [start, end] = offsets as [number, number];
  const dataBytes = fileBytes - dataStart;
  if (start > end) throw invalid(`${what} starts at byte ${start} and ends before it, at ${end}`, name);
  if (end > dataBytes) {
    throw invalid(
      `${what} ends at byte ${end} of the data, which has ${dataBytes}; the file is truncated or damaged: download it again`,
      name,
    );
  }
  const bits = shape.reduce((product, dimension) => product * BigInt(dimension), BigInt(DTYPE_BITS[dtype]));
  if (bits !== BigInt(end - start) * 8n) {
    throw invalid(
      `${what} (${dtype}, shape [${shape.join(', ')}]) needs ${Number(bits) / 8} bytes, its data_offsets hold ${end - start}`,
      name,
    );
  }
  return { name, dtype, shape, start: dataStart + start, end: dataStart + end };
}

/** @param tensors sorted by start */
function checkCoverage(
  tensors: readonly SafetensorsTensor[],
  dataStart: number,
  fileBytes: number,
  file: string,
): void {
  let covered = dataStart;
  let previous = 'the header';
  for (const tensor of tensors) {
    if (tensor.start !== covered) {
      const relation = tensor.start < covered ? 'overlaps' : 'leaves a hole after';
      throw invalid(
        `${file}: tensor "${clip(tensor.name)}" ${relation} ${previous}: it starts at byte ${tensor.start}, ${previous} ends at ${covered}`,
        tensor.name,
      );
    }
    covered = tensor.end;
    previous = `"${clip(tensor.name)}"`;
  }
  if (covered !== fileBytes) {
    throw invalid(
      `${file}: its tensors end at byte ${covered}, the file at ${fileBytes}; it is damaged: download it again`,
    );
  }
}

function isDtype(dtype: string): dtype is SafetensorsDtype {
  return Object.hasOwn(DTYPE_BITS, dtype);
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function reason(cause: unknown): string {
  return clip(cause instanceof Error ? cause.message : String(cause));
}

function invalid(message: string, param?: string, cause?: unknown): ShoalError {
  return new ShoalError('SAFETENSORS_INVALID', message, { ...(param === undefined ? {} : { param }), cause });
}
