/** Under Node the shaders are read from disk. Browser code never imports this file. */
import { readFile } from 'node:fs/promises';
import { SHADER_FOLDER } from '../config/installation.ts';
import { SHADER_FILES, type ShaderSource } from './shaders.ts';

export async function readShaders(directory: string = SHADER_FOLDER): Promise<ShaderSource> {
  return new Map(
    await Promise.all(
      SHADER_FILES.map(
        async (file): Promise<[string, string]> => [file, await readFile(`${directory}/${file}`, 'utf8')],
      ),
    ),
  );
}
