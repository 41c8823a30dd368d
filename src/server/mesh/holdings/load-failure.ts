import { type ErrorCode, ShoalError } from '../../../config/errors.ts';

/** A worker is a stranger: its code is told to clients and in the status, with our words for it. Its own are in the log. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  OUT_OF_MEMORY:
    'its device has no memory left for its layers; lend less there, or close what else uses the GPU',
  SHARD_TOO_LARGE: 'its device takes no buffer as large as its layers need',
  DOWNLOAD_FAILED: 'it could not download its layers; look at its network',
  TENSOR_HASH: 'what it downloaded is not what the manifest names; something on its way changes the files',
  DEVICE_LOST: 'its GPU was lost while it loaded its layers',
  NO_WEBGPU: 'its browser has no WebGPU',
  NO_ADAPTER: 'its browser finds no GPU',
  SHADER_INVALID: 'its GPU takes none of our shaders',
  DEADLINE_EXCEEDED: 'loading its layers took it too long',
  ABORTED: 'loading its layers was ended there',
};

export function loadFailure(code: ErrorCode): ShoalError {
  return new ShoalError(code, SENTENCES[code] ?? 'it could not load its layers; its page says why');
}
