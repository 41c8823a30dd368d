import { ShoalError } from '../config/errors.ts';
import type { StepOutput, WireDtype } from '../gpu/stage-engine.ts';
import type { Frame, FrameEntry } from '../mesh/frame.ts';
import { tokenIds, tokenPayload } from '../mesh/frame-codec.ts';
import type { TokenLogprobs } from '../model/sampling.ts';
import type { LayerRange, Place } from './stage-place.ts';
import type { SequenceId } from './stage-types.ts';

/** One entry that waits for the engine. */
export interface Work extends FrameEntry {
  readonly wire: WireDtype;
  readonly layers: LayerRange;
  /** (count) ids, at the first stage. */
  readonly tokens?: Uint32Array;
  /** (count, hidden) in `wire` format, elsewhere. */
  readonly hidden?: Uint8Array;
}

/**
 * The entries of an activation frame, each with its own rows (views into the payload, no copy). The width is what the payload makes it; the
 * stage checks it against its model's.
 */
function activationWork(frame: Frame): Omit<Work, 'layers'>[] {
  const wire = frame.dtype === 'f32' ? 'f32' : 'f16';
  return splitRows(frame.entries, frame.payload).map(({ entry, rows }) => ({ ...entry, wire, hidden: rows }));
}

/** The next decode step of each entry of a token frame, in the sequence's own wire format. */
function tokenWork(frame: Frame, placeOf: (sequence: number) => Place | undefined): Omit<Work, 'layers'>[] {
  const ids = tokenIds(frame);
  return frame.entries.map((entry, index) => ({
    ...entry,
    sample: true,
    truncate: false,
    wire: placeOf(entry.sequence)?.wire ?? 'f16',
    tokens: ids.subarray(index, index + 1),
  }));
}

/** What an activation or token frame asks to be computed, entry by entry. */
export function frameWork(
  frame: Frame,
  placeOf: (sequence: number) => Place | undefined,
): Omit<Work, 'layers'>[] {
  return frame.kind === 'token' ? tokenWork(frame, placeOf) : activationWork(frame);
}

/** Pairs every entry with its rows of `hidden`: the rows stand one entry after another. */
export function splitRows<E extends { readonly count: number }>(
  entries: readonly E[],
  hidden: Uint8Array,
): { entry: E; rows: Uint8Array }[] {
  const rowBytes = hidden.byteLength / entries.reduce((sum, entry) => sum + entry.count, 0);
  let offset = 0;
  return entries.map((entry) => {
    const rows = hidden.subarray(offset, offset + entry.count * rowBytes);
    offset += rows.byteLength;
    return { entry, rows };
  });
}

/** The works that asked for a sample, each with what the engine picked. @throws INTERNAL when that is not one for each */
export function sampledWorks(
  works: readonly Work[],
  output: StepOutput,
): { work: Work; token: number; logprobs: TokenLogprobs | undefined }[] {
  const sampling = works.filter((work) => work.sample);
  const { sampled } = output;
  if (sampled?.length !== sampling.length) {
    throw new ShoalError(
      'INTERNAL',
      `the engine sampled ${sampled?.length ?? 'no'} tokens, ${sampling.length} were asked for`,
    );
  }
  return sampling.map((work, index) => ({
    work,
    token: sampled[index]!,
    logprobs: output.logprobs?.[index],
  }));
}

export type FrameBody = Omit<Frame, 'microBatch'>;

/** Entries of one wire format with their rows. */
export function activationBody(
  wire: WireDtype,
  parts: readonly { readonly entry: FrameEntry; readonly rows: Uint8Array }[],
): FrameBody {
  return {
    kind: 'activation',
    dtype: wire,
    entries: parts.map(({ entry }) => entry),
    payload: concatBytes(parts.map(({ rows }) => rows)),
  };
}

export function tokenBody(
  tokens: readonly (SequenceId & { readonly position: number; readonly token: number })[],
): FrameBody {
  return {
    kind: 'token',
    dtype: 'u32',
    entries: tokens.map(({ sequence, epoch, position }) => ({
      sequence,
      epoch,
      position,
      count: 1,
      sample: true,
      truncate: false,
    })),
    payload: tokenPayload(tokens.map(({ token }) => token)),
  };
}

export function ackBody(works: readonly Work[]): FrameBody {
  const entries = works.map(({ sequence, epoch, position, count }) => ({
    sequence,
    epoch,
    position,
    count,
    sample: false,
    truncate: false,
  }));
  return { kind: 'ack', dtype: 'none', entries, payload: new Uint8Array(0) };
}

/** Without a copy where there is one part. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

export function concatIds(works: readonly Work[]): Uint32Array {
  const ids = new Uint32Array(works.reduce((sum, work) => sum + work.count, 0));
  let offset = 0;
  for (const work of works) {
    ids.set(work.tokens ?? [], offset);
    offset += work.count;
  }
  return ids;
}
