import { type ErrorCode, ShoalError, type WireError } from '../../config/errors.ts';
import type { TabState } from './tab-state.ts';

/** The model needs more memory than the tabs lend or the GPU has. */
const TOO_LARGE: readonly ErrorCode[] = ['SHARD_TOO_LARGE', 'OUT_OF_MEMORY'];

/** What the next attempt meets again. A lost link or download, a crash and a lost GPU may be over by then. */
const LASTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NO_SECURE_CONTEXT',
  'NO_WEBGPU',
  'NO_ADAPTER',
  'SHADER_INVALID',
  'PROTOCOL_VERSION',
  'PROTOCOL_INVALID',
  'MODEL_UNSUPPORTED',
  'SAFETENSORS_INVALID',
  'TENSOR_MISSING',
  'TENSOR_SHAPE',
  'TENSOR_HASH',
  ...TOO_LARGE,
]);

/**
 * Which tabs have failed for a reason that stays. A tab that is started again shows other phases for a while, and no two
 * fail at the same moment: each keeps its failure until it serves.
 */
export class TabFailures {
  readonly #failed = new Map<string, WireError>();

  note(tab: string, { phase, error }: TabState): void {
    if (phase === 'serving') this.#failed.delete(tab);
    else if (error !== undefined && LASTING.has(error.code)) this.#failed.set(tab, error);
  }

  /** @returns why there is nothing to wait for, once each of `tabs` tabs has failed; the first one's reason */
  reason(tabs: number): ShoalError | null {
    const [first] = this.#failed.values();
    if (first === undefined || this.#failed.size < tabs) return null;
    if (!TOO_LARGE.includes(first.code)) return ShoalError.from(first);
    return doesNotFit(tabs, first.message, first.code);
  }
}

/** @param reason a sentence without its full stop */
export function doesNotFit(tabs: number, reason: string, code: ErrorCode = 'SHARD_TOO_LARGE'): ShoalError {
  const where = tabs === 1 ? 'one tab' : `${tabs} tabs`;
  return new ShoalError(
    code,
    `the model does not fit into ${where}: ${reason}. Let each lend more (--memory), open more (--workers) or shrink the weights (--quantization q4)`,
  );
}
