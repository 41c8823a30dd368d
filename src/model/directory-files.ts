/** Reading the small files of a model directory. Node only. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ShoalError } from '../config/errors.ts';
import { standIn } from './stand-in.ts';

/**
 * @returns the file's size, or undefined when there is none
 * @throws MODEL_CONFIG_INVALID when something other than a file has that name, or it cannot be read
 */
export async function fileBytesOf(directory: string, name: string): Promise<number | undefined> {
  try {
    const stats = await stat(join(directory, name));
    if (stats.isFile()) return stats.size;
    throw new ShoalError('MODEL_CONFIG_INVALID', `${name} in the model directory ${directory} is not a file`);
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unreadable(directory, name, error);
  }
}

/** @returns undefined when the file does not exist. @throws MODEL_CONFIG_INVALID above `maxBytes` or when it cannot be read */
export async function readTextFile(
  directory: string,
  name: string,
  maxBytes: number,
): Promise<string | undefined> {
  const bytes = await fileBytesOf(directory, name);
  if (bytes === undefined) return undefined;
  if (bytes > maxBytes) {
    throw new ShoalError(
      'MODEL_CONFIG_INVALID',
      `${name} in ${directory} has ${bytes} bytes, at most ${maxBytes} are read; check that it is the right file`,
    );
  }
  let content: Buffer;
  try {
    content = await readFile(join(directory, name));
  } catch (error) {
    throw unreadable(directory, name, error);
  }
  // A template may be empty.
  if (content.length > 0) checkBeginning(directory, name, content);
  return content.toString('utf8');
}

/** @throws MODEL_CONFIG_INVALID when something else lies in the place of the file; see `standIn` */
export function checkBeginning(directory: string, name: string, beginning: Uint8Array): void {
  const what = standIn(beginning);
  if (what === null) return;
  throw new ShoalError('MODEL_CONFIG_INVALID', `${name} in ${directory} ${what}`, { param: name });
}

/** @returns undefined when the file does not exist. @throws MODEL_CONFIG_INVALID when it is too large or not JSON */
export async function readJsonFile(directory: string, name: string, maxBytes: number): Promise<unknown> {
  const text = await readTextFile(directory, name, maxBytes);
  if (text === undefined) return undefined;
  if (text === '') checkBeginning(directory, name, new Uint8Array());
  try {
    // Editors on Windows put a byte order mark before it, which says nothing and which JSON.parse refuses.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError(
      'MODEL_CONFIG_INVALID',
      `${name} in ${directory} is not JSON: ${reason}; download it again`,
      { cause },
    );
  }
}

/** @throws MODEL_NOT_FOUND when the path does not exist or is not a directory */
export async function checkDirectory(directory: string): Promise<void> {
  let isDirectory = false;
  try {
    isDirectory = (await stat(directory)).isDirectory();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw unreadable(directory, '.', error);
    throw new ShoalError(
      'MODEL_NOT_FOUND',
      `there is no model directory ${directory}; give the path of a directory in Hugging Face layout (config.json, tokenizer.json, *.safetensors)`,
      { cause: error },
    );
  }
  if (!isDirectory) {
    throw new ShoalError(
      'MODEL_NOT_FOUND',
      `${directory} is a file; give the directory that holds config.json, tokenizer.json and *.safetensors`,
    );
  }
}

/** @throws MODEL_CONFIG_INVALID naming the missing file and what is needed in its place */
export function missingFile(directory: string, name: string, remedy: string): ShoalError {
  return new ShoalError(
    'MODEL_CONFIG_INVALID',
    `the model directory ${directory} has no ${name}; ${remedy}`,
    {
      param: name,
    },
  );
}

function unreadable(directory: string, name: string, error: unknown): ShoalError {
  return new ShoalError(
    'MODEL_CONFIG_INVALID',
    `${name} in the model directory ${directory} cannot be read (${errnoOf(error) ?? String(error)}); check its permissions`,
    { cause: error },
  );
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
