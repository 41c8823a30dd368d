import { ShoalError } from '../config/errors.ts';

/** Every file of public/shaders, kernels first, then the pieces they include. */
export const SHADER_FILES = [
  'argmax.wgsl',
  'attention_merge.wgsl',
  'attention_thread.wgsl',
  'attention_workgroup.wgsl',
  'bits_class.wgsl',
  'embedding.wgsl',
  'hidden_pack.wgsl',
  'hidden_unpack.wgsl',
  'matmul_thread.wgsl',
  'matmul_thread_rows.wgsl',
  'matmul_workgroup.wgsl',
  'qk_norm.wgsl',
  'rmsnorm_thread.wgsl',
  'rmsnorm_workgroup.wgsl',
  'rope_append.wgsl',
  'attention_shapes.wgsl',
  'epilogue_logits.wgsl',
  'epilogue_residual.wgsl',
  'epilogue_store.wgsl',
  'epilogue_swiglu.wgsl',
  'half.wgsl',
  'lanes.wgsl',
  'matrix_tile.wgsl',
  'status.wgsl',
  'step.wgsl',
  'weights_bf16.wgsl',
  'weights_f16.wgsl',
  'weights_f32.wgsl',
  'weights_q4.wgsl',
  'weights_q8.wgsl',
] as const;

/** File name → WGSL text, from wherever the platform keeps public/shaders. */
export type ShaderSource = ReadonlyMap<string, string>;

/**
 * Fetches the shaders of the built or served page. Vite serves public/ as it is and refuses to import from it.
 * @param baseUrl where the page's files lie, with a slash at the end
 * @throws DOWNLOAD_FAILED
 */
export async function fetchShaders(
  baseUrl: string | URL,
  fetcher: typeof fetch,
  signal?: AbortSignal,
): Promise<ShaderSource> {
  const load = async (file: string): Promise<[string, string]> => {
    const url = new URL(`shaders/${file}`, baseUrl);
    const response = await fetcher(url, signal === undefined ? {} : { signal });
    // A single-page fallback answers 200 with HTML.
    if (!response.ok || (response.headers.get('content-type') ?? '').includes('text/html')) {
      throw new ShoalError(
        'DOWNLOAD_FAILED',
        `shader ${file}: the server answered ${response.status} ${response.headers.get('content-type')}; the page and the server must be of one build`,
      );
    }
    return [file, await response.text()];
  };
  return new Map(await Promise.all(SHADER_FILES.map(load)));
}

const INCLUDE = /^\s*\/\/ #include "([^"]+)"\s*$/;
const MAX_INCLUDE_DEPTH = 4;

/**
 * The text of `file` with its `// #include "name"` lines replaced by the named files and `{NAME}` by `choices`.
 * @throws SHADER_INVALID for a missing file or choice
 */
export function expandShader(
  source: ShaderSource,
  file: string,
  choices: Readonly<Record<string, string>>,
  depth = 0,
): string {
  const text = source.get(file);
  if (text === undefined || depth > MAX_INCLUDE_DEPTH) {
    throw new ShoalError('SHADER_INVALID', `${file}: no such shader, or included in a circle`);
  }
  const chosen = text.replace(/\{([A-Z_]+)\}/g, (_, name: string) => {
    const choice = choices[name];
    if (choice === undefined)
      throw new ShoalError('SHADER_INVALID', `${file}: nothing was chosen for {${name}}`);
    return choice;
  });
  return chosen
    .split('\n')
    .map((line) => {
      const include = INCLUDE.exec(line);
      return include === null ? line : expandShader(source, include[1]!, choices, depth + 1);
    })
    .join('\n');
}
