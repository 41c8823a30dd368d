/** `shoal/node`: models on a disk, for the engine under Node. */
export { type ModelDirectory, type ModelDirectoryOptions, openModelDirectory } from '../model/directory.ts';
export { readTensors } from '../model/directory-tensors.ts';
export { type ModelTextPlace, readModelText } from '../model/text/model-text-files.ts';
