import type { ErrorCode } from '../config/errors.ts';
import type { ContributorPhase } from './contributor-state.ts';

/** The steps a contributor sees, in order; a phase not listed belongs to no step. */
export const STEPS = ['detect', 'download', 'verify', 'compile', 'serving'] as const;
export type Step = (typeof STEPS)[number];

export function stepOf(phase: ContributorPhase): Step | null {
  switch (phase) {
    case 'detecting':
    case 'connecting':
      return 'detect';
    case 'waiting':
      return null;
    case 'downloading':
      return 'download';
    case 'verifying':
      return 'verify';
    case 'compiling':
      return 'compile';
    case 'serving':
      return 'serving';
    case 'idle':
    case 'leaving':
    case 'failed':
      return null;
    default:
      return phase satisfies never;
  }
}

/** One sentence for each phase; null where the state's own detail says more. */
export function sentenceOf(phase: ContributorPhase): string | null {
  switch (phase) {
    case 'idle':
      return 'Nothing runs on your device until you press Join.';
    case 'detecting':
      return 'Looking for a GPU and timing a few kernels…';
    case 'connecting':
      return 'Talking to the server…';
    case 'waiting':
      return 'Joined. Waiting for the server to hand out layers.';
    case 'downloading':
      return 'Downloading your layers…';
    case 'verifying':
      return 'Checking every tensor against its hash…';
    case 'compiling':
      return 'Compiling kernels and filling GPU memory…';
    case 'serving':
      return 'Serving. You may leave at any time; answers go on without you.';
    case 'leaving':
      return null;
    case 'failed':
      return 'Something is in the way:';
    default:
      return phase satisfies never;
  }
}

/** What a person can do about an error that stops their device from joining, beside what its own message says. */
export function remedyOf(code: ErrorCode): string | null {
  switch (code) {
    case 'NO_SECURE_CONTEXT':
      return 'An SSH tunnel (ssh -L) to the server gives it a localhost address, too.';
    case 'NO_WEBGPU':
      return 'On Linux, Chrome may need chrome://flags/#enable-unsafe-webgpu.';
    case 'NO_ADAPTER':
      return 'In Chrome and Edge, chrome://gpu says why the GPU is not used.';
    case 'SHARD_TOO_LARGE':
    case 'OUT_OF_MEMORY':
      return 'Other tabs and programs may hold GPU memory; close them and join again.';
    case 'DEVICE_LOST':
      return 'If it is lost again, update the graphics driver.';
    default:
      return null;
  }
}
