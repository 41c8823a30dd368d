/** The weight files of a model directory: where each tensor lies and what it hashes to. Node only. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ShoalError } from '../config/errors.ts';
import { MAX_MODEL_JSON_BYTES } from '../config/limits.ts';
import { checkBeginning, fileBytesOf, missingFile, readJsonFile } from './directory-files.ts';
import { FILE_DTYPE_BYTES, type FileDtype, type TensorEntry } from './fetch/manifest.ts';
import {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX_BYTES,
  type SafetensorsTensor,
  safetensorsHeaderBytes,
} from './safetensors.ts';
import { parseSafetensorsIndex } from './safetensors-index.ts';
import type { ModelSpec } from './spec.ts';
import { STAND_IN_BYTES } from './stand-in.ts';
import { shardTensors, type TensorSpec, wholeModel } from './tensors.ts';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
/** Read buffer of the hash: large enough that the disk, not the calls, sets the pace. */
const HASH_CHUNK_BYTES = 1 << 20;

interface PlacedTensor extends SafetensorsTensor {
  readonly file: string;
  readonly dtype: FileDtype;
}

export class WeightFiles {
  readonly #directory: string;
  readonly #tensors: ReadonlyMap<string, PlacedTensor>;
  /** One computation a tensor, shared by all who wait for it; a failed one is tried again. */
  readonly #hashes = new Map<string, Promise<string>>();

  private constructor(directory: string, tensors: ReadonlyMap<string, PlacedTensor>) {
    this.#directory = directory;
    this.#tensors = tensors;
  }

  /**
   * Reads the headers and checks that every tensor of the whole model is there, with its shape, in a format that can be loaded.
   * Tensors that the model does not need are left out.
   * @throws MODEL_CONFIG_INVALID, SAFETENSORS_INVALID, TENSOR_MISSING, TENSOR_SHAPE, MODEL_UNSUPPORTED (dtype)
   */
  static async open(directory: string, spec: ModelSpec): Promise<WeightFiles> {
    const found = await readHeaders(directory);
    const placed = new Map<string, PlacedTensor>();
    for (const expected of shardTensors(spec, wholeModel(spec))) {
      placed.set(expected.name, checkTensor(expected, found.get(expected.name)));
    }
    return new WeightFiles(directory, placed);
  }

  /** The widest format among the matrices: what placement counts with. */
  get dtype(): FileDtype {
    const dtypes = [...this.#tensors.values()].filter((t) => t.shape.length === 2).map((t) => t.dtype);
    // Of the two 16-bit formats F16 is the larger: some workers store it as f32.
    return (['F32', 'F16', 'BF16'] as const).find((dtype) => dtypes.includes(dtype)) ?? 'F32';
  }

  /** Names of the files that hold tensors of the model. */
  get files(): ReadonlySet<string> {
    return new Set([...this.#tensors.values()].map((tensor) => tensor.file));
  }

  async entry(name: string): Promise<TensorEntry> {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new ShoalError('TENSOR_MISSING', `the model has no tensor "${name}"`, { param: name });
    const { file, start, end, dtype, shape } = tensor;
    return { file, start, end, dtype, shape: [...shape], sha256: await this.#hash(tensor) };
  }

  #hash(tensor: PlacedTensor): Promise<string> {
    let hash = this.#hashes.get(tensor.name);
    if (!hash) {
      hash = hashRange(join(this.#directory, tensor.file), tensor);
      this.#hashes.set(tensor.name, hash);
      hash.catch(() => this.#hashes.delete(tensor.name));
    }
    return hash;
  }
}

async function hashRange(path: string, tensor: PlacedTensor): Promise<string> {
  const hash = createHash('sha256');
  let bytesRead = 0;
  const stream = createReadStream(path, {
    start: tensor.start,
    end: tensor.end - 1,
    highWaterMark: HASH_CHUNK_BYTES,
  });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytesRead += chunk.length;
  }
  const wanted = tensor.end - tensor.start;
  if (bytesRead !== wanted) {
    throw new ShoalError(
      'SAFETENSORS_INVALID',
      `tensor "${tensor.name}" has ${wanted} bytes, ${bytesRead} could be read; ${tensor.file} was changed while it was served: start again`,
      { param: tensor.name },
    );
  }
  return hash.digest('hex');
}

async function readHeaders(directory: string): Promise<Map<string, SafetensorsTensor & { file: string }>> {
  const index = await readJsonFile(directory, INDEX_FILE, MAX_MODEL_JSON_BYTES);
  const hasSingle = (await fileBytesOf(directory, SINGLE_FILE)) !== undefined;
  // transformers looks for the single file first.
  if (!hasSingle && index === undefined) {
    throw missingFile(
      directory,
      `${SINGLE_FILE} and no ${INDEX_FILE}`,
      'weights in the safetensors format are needed (save_pretrained writes them; .bin and .gguf files are not read)',
    );
  }
  const weightMap = hasSingle ? undefined : parseSafetensorsIndex(index);
  const tensors = new Map<string, SafetensorsTensor & { file: string }>();
  for (const file of weightMap ? new Set(weightMap.values()) : [SINGLE_FILE]) {
    for (const tensor of await readHeader(directory, file)) {
      // The index decides between two files that hold the same name.
      if (weightMap === undefined || weightMap.get(tensor.name) === file)
        tensors.set(tensor.name, { ...tensor, file });
    }
  }
  return tensors;
}

/** @throws SAFETENSORS_INVALID, MODEL_CONFIG_INVALID */
export async function readHeader(directory: string, file: string): Promise<SafetensorsTensor[]> {
  const fileBytes = await fileBytesOf(directory, file);
  if (fileBytes === undefined) {
    throw missingFile(directory, file, `${INDEX_FILE} names it: download the missing part`);
  }
  const handle = await open(join(directory, file), 'r');
  try {
    const prefix = new Uint8Array(Math.min(fileBytes, STAND_IN_BYTES));
    await handle.read(prefix, 0, prefix.length, 0);
    checkBeginning(directory, file, prefix);
    const header = new Uint8Array(SAFETENSORS_PREFIX_BYTES + safetensorsHeaderBytes(prefix, fileBytes, file));
    const { bytesRead } = await handle.read(header, 0, header.length, 0);
    return parseSafetensorsHeader(header.subarray(0, bytesRead), fileBytes, file);
  } finally {
    await handle.close();
  }
}

function checkTensor(
  expected: TensorSpec,
  found: (SafetensorsTensor & { file: string }) | undefined,
): PlacedTensor {
  const { name } = expected;
  if (!found) {
    throw new ShoalError(
      'TENSOR_MISSING',
      `the weights have no tensor "${name}" (${expected.roles.join(' and ')}, shape [${expected.shape.join(', ')}]), which config.json calls for; config.json and weights do not belong together, or a file is missing`,
      { param: name },
    );
  }
  if (found.shape.length !== expected.shape.length || found.shape.some((n, i) => n !== expected.shape[i])) {
    throw new ShoalError(
      'TENSOR_SHAPE',
      `tensor "${name}" in ${found.file} has shape [${found.shape.join(', ')}], config.json calls for [${expected.shape.join(', ')}]; config.json and weights do not belong together`,
      { param: name },
    );
  }
  if (!isFileDtype(found.dtype)) {
    throw new ShoalError(
      'MODEL_UNSUPPORTED',
      `tensor "${name}" in ${found.file} is ${found.dtype}; supported are ${Object.keys(FILE_DTYPE_BYTES).join(', ')}: convert the weights`,
      { param: name },
    );
  }
  return { ...found, dtype: found.dtype };
}

function isFileDtype(dtype: string): dtype is FileDtype {
  return Object.hasOwn(FILE_DTYPE_BYTES, dtype);
}
