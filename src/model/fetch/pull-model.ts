/** A model from a hub to a directory: only what Shoal reads, resumed where it broke off, whole or not at all. Node only. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HubSource } from '../../config/catalogue-file.ts';
import { ShoalError } from '../../config/errors.ts';
import { MAX_MODEL_JSON_BYTES, MAX_TOKENIZER_BYTES, MAX_WEIGHT_FILES } from '../../config/limits.ts';
import { PULLED_FILE, type Pulled, readPulled } from '../../config/model-folders.ts';
import { readJsonFile } from '../directory-files.ts';
import { specFromHfConfig } from '../hf-config.ts';
import { parseSafetensorsIndex } from '../safetensors-index.ts';
import { type Sleep, sleepWithTimer } from '../sleep.ts';
import { readHeader } from '../weight-files.ts';
import type { HubClient, HubFile } from './hub-client.ts';
import { withPullLock } from './pull-lock.ts';
import { downloadRange } from './range-download.ts';

const WEIGHTS = 'model.safetensors';
const WEIGHTS_INDEX = 'model.safetensors.index.json';

/** What `openModelDirectory` reads besides the weights. */
const SMALL_FILES = [
  { name: 'config.json', isRequired: true, maxBytes: MAX_MODEL_JSON_BYTES },
  { name: 'tokenizer.json', isRequired: true, maxBytes: MAX_TOKENIZER_BYTES },
  { name: 'generation_config.json', isRequired: false, maxBytes: MAX_MODEL_JSON_BYTES },
  { name: 'tokenizer_config.json', isRequired: false, maxBytes: MAX_MODEL_JSON_BYTES },
  { name: 'chat_template.jinja', isRequired: false, maxBytes: MAX_MODEL_JSON_BYTES },
] as const;

export interface PullOptions {
  readonly hub: HubClient;
  readonly source: HubSource;
  /** Where the model goes; `<directory>.part` holds it until it is whole. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly sleep?: Sleep;
  /** Wraps the download of each file that is not there yet. `report` takes the bytes of it that are there. */
  readonly onFile?: (
    name: string,
    bytes: number,
    work: (report: (bytesHere: number) => void) => Promise<void>,
  ) => Promise<void>;
}

export interface PulledModel extends Pulled {
  /** False when the directory held this commit already. */
  readonly isNew: boolean;
}

/**
 * @throws DOWNLOAD_FAILED, with what is there kept for the next try; MODEL_UNSUPPORTED, MODEL_CONFIG_INVALID before any weights are
 *   fetched; TENSOR_HASH where a file is not what the hub says; ABORTED
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { hub, source, directory, signal } = options;
  const { repo, revision } = source;
  const config = await hub.stat(repo, revision, 'config.json', signal);
  if (config === null) throw missing(repo, 'config.json', 'is it a model in Hugging Face layout?');
  // All files of one commit, whatever happens to the branch meanwhile.
  const commit = config.commit ?? revision;
  const pulled: Pulled = { repo, revision, commit };
  if (isSame(readPulled(directory), pulled)) return { ...pulled, isNew: false };

  return withPullLock(directory, () => pullCommit(options, pulled));
}

async function pullCommit(options: PullOptions, pulled: Pulled): Promise<PulledModel> {
  const { hub, directory, signal } = options;
  const { repo, commit } = pulled;
  const partial = `${directory}.part`;
  if (!isSame(readPulled(partial), pulled)) await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await writeFile(join(partial, PULLED_FILE), `${JSON.stringify(pulled, null, 2)}\n`);

  const transfer = { ...options, partial, commit };
  for (const { name, isRequired, maxBytes } of SMALL_FILES) {
    const file = await hub.stat(repo, commit, name, signal);
    if (file !== null) await fetchFile(name, checkSize(name, file, maxBytes), transfer);
    else if (isRequired) throw missing(repo, name, 'Shoal needs it');
    if (name === 'config.json') specFromHfConfig(await readJsonFile(partial, name, maxBytes));
  }
  const weights = await weightFiles(transfer);
  await checkRoom(partial, weights);
  for (const [name, file] of weights) {
    await fetchFile(name, file, transfer);
    await checkWeights(partial, name);
  }

  await replaceDirectory(partial, directory);
  return { ...pulled, isNew: true };
}

interface Transfer extends PullOptions {
  readonly partial: string;
  readonly commit: string;
}

async function weightFiles(transfer: Transfer): Promise<ReadonlyMap<string, HubFile>> {
  const { hub, source, commit, signal, partial } = transfer;
  const single = await hub.stat(source.repo, commit, WEIGHTS, signal);
  if (single !== null) return new Map([[WEIGHTS, single]]);
  const index = await hub.stat(source.repo, commit, WEIGHTS_INDEX, signal);
  if (index === null) {
    throw missing(source.repo, `${WEIGHTS} or ${WEIGHTS_INDEX}`, 'other formats of weights are not read');
  }
  await fetchFile(WEIGHTS_INDEX, checkSize(WEIGHTS_INDEX, index, MAX_MODEL_JSON_BYTES), transfer);
  const names = new Set(
    parseSafetensorsIndex(await readJsonFile(partial, WEIGHTS_INDEX, MAX_MODEL_JSON_BYTES)).values(),
  );
  if (names.size > MAX_WEIGHT_FILES) {
    throw new ShoalError(
      'MODEL_CONFIG_INVALID',
      `${WEIGHTS_INDEX} names ${names.size} files, at most ${MAX_WEIGHT_FILES} are fetched`,
    );
  }
  const files = new Map<string, HubFile>();
  for (const name of names) {
    const file = await hub.stat(source.repo, commit, name, signal);
    if (file === null) throw missing(source.repo, name, `though ${WEIGHTS_INDEX} names it`);
    files.set(name, file);
  }
  return files;
}

/** Appends to `<name>.part` what is missing, and renames it once its size and hash are right. */
async function fetchFile(name: string, file: HubFile, transfer: Transfer): Promise<void> {
  const { hub, source, commit, partial, signal, sleep = sleepWithTimer } = transfer;
  const path = join(partial, name);
  if ((await sizeOf(path)) === file.bytes) return;
  const partPath = `${path}.part`;
  const run = transfer.onFile ?? ((_name, _bytes, work) => work(() => {}));
  await run(name, file.bytes, async (report) => {
    const { hash, bytes } = await hashSoFar(partPath, file.bytes);
    let bytesHere = bytes;
    const handle = await open(partPath, 'a');
    try {
      const url = hub.fileUrl(source.repo, commit, name);
      for await (const piece of downloadRange(url, bytesHere, file.bytes, {
        fetch: hub.fetch,
        sleep,
        signal,
        fileBytes: file.bytes,
      })) {
        await handle.writeFile(piece);
        hash.update(piece);
        bytesHere += piece.length;
        report(bytesHere);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    const found = hash.digest('hex');
    if (file.sha256 !== null && found !== file.sha256) {
      await rm(partPath);
      throw new ShoalError(
        'TENSOR_HASH',
        `${name} of ${source.repo} has the sha256 ${found} and should have ${file.sha256}; it is removed, pull again`,
        { param: name },
      );
    }
    await rename(partPath, path);
  });
}

/** A mirror may have sent anything, and not every one tells a hash. @throws SAFETENSORS_INVALID, MODEL_CONFIG_INVALID */
async function checkWeights(partial: string, name: string): Promise<void> {
  try {
    await readHeader(partial, name);
  } catch (error) {
    await rm(join(partial, name), { force: true });
    throw error;
  }
}

/** A longer one than wanted is of no use. */
async function hashSoFar(path: string, maxBytes: number): Promise<{ hash: Hash; bytes: number }> {
  const hash = createHash('sha256');
  const bytes = (await sizeOf(path)) ?? 0;
  if (bytes > maxBytes) {
    await rm(path);
    return { hash, bytes: 0 };
  }
  if (bytes > 0) for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return { hash, bytes };
}

async function checkRoom(partial: string, files: ReadonlyMap<string, HubFile>): Promise<void> {
  let needed = 0;
  for (const [name, { bytes }] of files) {
    const here = (await sizeOf(join(partial, name))) ?? (await sizeOf(join(partial, `${name}.part`))) ?? 0;
    needed += Math.max(0, bytes - here);
  }
  const { bavail, bsize } = await statfs(partial);
  if (needed <= bavail * bsize) return;
  throw new ShoalError(
    'DOWNLOAD_FAILED',
    `the weights need ${gigabytes(needed)} more, and ${dirname(partial)} has ${gigabytes(bavail * bsize)} free; make room, or set SHOAL_HOME to a larger disk`,
  );
}

/** The old model, where there is one, goes only when the new one can take its place. */
async function replaceDirectory(from: string, to: string): Promise<void> {
  const old = `${to}.old`;
  await rm(old, { recursive: true, force: true });
  await rename(to, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
}

function checkSize(name: string, file: HubFile, maxBytes: number): HubFile {
  if (file.bytes <= maxBytes) return file;
  throw new ShoalError(
    'DOWNLOAD_FAILED',
    `${name} has ${file.bytes} bytes, at most ${maxBytes} are read; is it the right file?`,
  );
}

const isSame = (a: Pulled | null, b: Pulled) =>
  a !== null && a.repo === b.repo && a.revision === b.revision && a.commit === b.commit;

const sizeOf = async (path: string) => (await stat(path).catch(() => null))?.size ?? null;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const missing = (repo: string, name: string, remark: string) =>
  new ShoalError('DOWNLOAD_FAILED', `${repo} has no ${name}; ${remark}`);
