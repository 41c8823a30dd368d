/** Under Node the shaders are read from disk. Browser code never imports this file. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { SHADER_FILES, type ShaderSource } from './shaders.ts';

export async function readShaders(
  directory: string = fileURLToPath(new URL('../../public/shaders', import.meta.url)),
): Promise<ShaderSource> {
  return new Map(
    await Promise.all(
      SHADER_FILES.map(
        async (file): Promise<[string, string]> => [file, await readFile(`${directory}/${file}`, 'utf8')],
      ),
    ),
  );
}
