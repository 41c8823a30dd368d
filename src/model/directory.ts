/** A model in Hugging Face layout on a disk. Node only: browser code never imports this. */
import { basename, join, resolve } from 'node:path';
import { ShoalError } from '../config/errors.ts';
import { MAX_MODEL_ID_CHARS, MAX_MODEL_JSON_BYTES } from '../config/limits.ts';
import { checkDirectory, fileBytesOf, missingFile, readJsonFile, readTextFile } from './directory-files.ts';
import type { FileDtype, TensorEntry, WeightManifest } from './fetch/manifest.ts';
import { defaultEosTokenId, modelFamily, specFromHfConfig } from './hf-config.ts';
import type { Shard } from './shard.ts';
import type { ModelSpec } from './spec.ts';
import { shardTensors, wholeModel } from './tensors.ts';
import { chatTemplateFrom } from './text/chat-template-source.ts';
import { WeightFiles } from './weight-files.ts';

export interface ModelDirectoryOptions {
  /** The model's id in manifests; the directory's name without it. */
  readonly model?: string;
  /** Positions to serve, at most the model's own and MAX_CONTEXT_POSITIONS; those without it. */
  readonly contextLength?: number;
  /** Replaces the model's own chat template. */
  readonly chatTemplate?: string;
}

export interface ModelDirectory {
  readonly path: string;
  readonly model: string;
  readonly spec: ModelSpec;
  /** GGUF's word for the architecture: `llama`, `qwen3`. */
  readonly family: string;
  /** The end of sequence where neither the spec nor the tokenizer has one. */
  readonly defaultEosTokenId: number | null;
  /** The widest format among the matrices: what placement counts with. */
  readonly dtype: FileDtype;
  /** The default chat template's source; undefined when the model has none. */
  readonly chatTemplate: string | undefined;
  /** Names of the weight files. */
  readonly files: ReadonlySet<string>;
  /**
   * Exactly the shard's tensors. The first call for a tensor reads it once to hash it; later ones are immediate.
   * @throws MODEL_CONFIG_INVALID for a shard that the model does not have; SAFETENSORS_INVALID when a file changed
   */
  manifest(shard: Shard): Promise<WeightManifest>;
  /** Absolute path of a weight file. @throws NOT_FOUND for any other name, so that a request cannot reach another file */
  filePath(name: string): string;
}

/**
 * Opens a model directory and checks all of it but the weights' values.
 *
 * @throws MODEL_NOT_FOUND (no such directory), MODEL_CONFIG_INVALID (a file missing, too large or wrong), MODEL_UNSUPPORTED,
 *   SAFETENSORS_INVALID, TENSOR_MISSING, TENSOR_SHAPE
 */
export async function openModelDirectory(
  path: string,
  options: ModelDirectoryOptions = {},
): Promise<ModelDirectory> {
  const directory = resolve(path);
  await checkDirectory(directory);
  const model = options.model ?? basename(directory);
  checkModelId(model);
  const config = await readJsonFile(directory, 'config.json', MAX_MODEL_JSON_BYTES);
  if (config === undefined) {
    throw missingFile(directory, 'config.json', 'give a directory in Hugging Face layout');
  }
  const ownSpec = specFromHfConfig(
    config,
    await readJsonFile(directory, 'generation_config.json', MAX_MODEL_JSON_BYTES),
  );
  const spec = { ...ownSpec, contextLength: servedContext(ownSpec, options.contextLength) };
  // Only whether it is there: it is read where it is needed (`readModelText`), which takes a large one seconds.
  if ((await fileBytesOf(directory, 'tokenizer.json')) === undefined) {
    throw missingFile(
      directory,
      'tokenizer.json',
      'a tokenizer in that format is needed: AutoTokenizer.from_pretrained(…).save_pretrained(…) converts a tokenizer.model',
    );
  }
  const tokenizerConfig =
    (await readJsonFile(directory, 'tokenizer_config.json', MAX_MODEL_JSON_BYTES)) ?? {};
  const templateFile = await readTextFile(directory, 'chat_template.jinja', MAX_MODEL_JSON_BYTES);
  const weights = await WeightFiles.open(directory, spec);
  const files = weights.files;

  return {
    path: directory,
    model,
    spec,
    defaultEosTokenId: defaultEosTokenId(config),
    family: modelFamily(config),
    dtype: weights.dtype,
    chatTemplate: options.chatTemplate ?? templateFile ?? chatTemplateFrom(tokenizerConfig),
    files,
    async manifest(shard) {
      checkShard(spec, shard);
      const tensors: Record<string, TensorEntry> = {};
      // One after another: hashing is bound by the disk, and a worker waits for all of them anyway.
      for (const { name } of shardTensors(spec, shard)) tensors[name] = await weights.entry(name);
      return { version: 1, model, spec, tensors };
    },
    filePath(name) {
      if (!files.has(name)) {
        throw new ShoalError(
          'NOT_FOUND',
          `"${name.slice(0, 80)}" is not a weight file of ${model}; it has ${[...files].join(', ')}`,
        );
      }
      return join(directory, name);
    },
  };
}

/** The id stands in every manifest and assignment: one that no worker takes is refused before the server starts. */
function checkModelId(model: string): void {
  if (model === '') {
    throw new ShoalError(
      'MODEL_CONFIG_INVALID',
      'the root of a file system has no name that could be the model’s id; give a directory with a name',
      { param: 'model' },
    );
  }
  if (model.length <= MAX_MODEL_ID_CHARS) return;
  throw new ShoalError(
    'MODEL_CONFIG_INVALID',
    `the model's id "${model.slice(0, 40)}…", its directory's name, has ${model.length} characters, the protocol carries ${MAX_MODEL_ID_CHARS}; rename the directory, or link to it under a shorter name`,
    { param: 'model' },
  );
}

function servedContext({ contextLength }: ModelSpec, wanted = contextLength): number {
  if (wanted <= contextLength) return wanted;
  throw new ShoalError(
    'MODEL_CONFIG_INVALID',
    `a context of ${wanted} positions is asked for, and this model is served with at most ${contextLength}; ask for that or less`,
    { param: 'context' },
  );
}

function checkShard(spec: ModelSpec, shard: Shard): void {
  const whole = wholeModel(spec);
  const inOrder = shard.start >= 0 && shard.start < shard.end && shard.end <= whole.end;
  if (!inOrder || !Number.isInteger(shard.start) || !Number.isInteger(shard.end)) {
    throw new ShoalError(
      'MODEL_CONFIG_INVALID',
      `there are no layers [${shard.start}, ${shard.end}); the model has layers [0, ${whole.end})`,
    );
  }
}
