import { ShoalError } from '../config/errors.ts';
import { MAX_MANIFEST_BYTES } from '../config/limits.ts';
import { checkManifest } from '../model/fetch/check-manifest.ts';
import { type WeightManifest, weightManifestSchema } from '../model/fetch/manifest.ts';
import type { Fetch } from '../model/fetch/range-download.ts';
import type { Shard } from '../model/shard.ts';

/**
 * The manifest of a shard, checked against its own spec.
 * @throws DOWNLOAD_FAILED, TENSOR_MISSING, TENSOR_SHAPE, ABORTED
 */
export async function fetchManifest(
  url: string,
  shard: Shard,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<WeightManifest> {
  let text: string;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    text = await boundedText(response);
  } catch (cause) {
    if (signal.aborted) throw new ShoalError('ABORTED', 'loading was stopped', { cause: signal.reason });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('DOWNLOAD_FAILED', `the manifest ${url} did not come: ${why}`, { cause });
  }
  const parsed = weightManifestSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ShoalError(
      'DOWNLOAD_FAILED',
      `the manifest ${url} is not one: ${issue?.path.join('.') || 'its whole'}: ${issue?.message ?? 'not JSON'}; page and server must be of one build`,
    );
  }
  checkManifest(parsed.data, shard);
  return parsed.data;
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_MANIFEST_BYTES) {
      throw new Error(`it is larger than ${MAX_MANIFEST_BYTES} B`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
