import { ShoalError } from '../config/errors.ts';
import type { StepOutput, WireDtype } from '../gpu/stage-engine.ts';
import type { Frame, FrameEntry } from '../mesh/frame.ts';
import { checkActivationWidth, tokenIds, tokenPayload } from '../mesh/frame-codec.ts';
import type { TokenLogprobs } from '../model/sampling.ts';

/** One entry that waits for the engine. */
export interface Work extends FrameEntry {
  readonly wire: WireDtype;
  /** (count) ids, at the stage with the embedding. */
  readonly tokens?: Uint32Array;
  /** (count, hidden) in `wire` format, elsewhere. */
  readonly hidden?: Uint8Array;
}

/** A token that the last stage picked: it stands at `position`. */
export interface SampledToken {
  readonly sequence: number;
  readonly position: number;
  readonly token: number;
  readonly logprobs: TokenLogprobs | undefined;
}

/** Who may send what to the stage at `index`: activations come from before, tokens from the end, acks from behind. */
function senderOf(kind: Frame['kind'], peers: readonly string[], index: number): string | undefined {
  switch (kind) {
    case 'activation':
      return peers[index - 1];
    case 'token':
      return index === 0 ? peers.at(-1) : undefined;
    case 'ack':
      return peers[index + 1];
    case 'ping':
    case 'pong':
      return undefined;
    default:
      return kind satisfies never;
  }
}

/** @throws FRAME_INVALID when `from` is not the peer that sends this kind of frame to the stage at `index` */
export function checkSender(frame: Frame, from: string, peers: readonly string[], index: number): void {
  const sender = senderOf(frame.kind, peers, index);
  if (sender === from) return;
  throw new ShoalError(
    'FRAME_INVALID',
    `stage ${index} of epoch ${frame.epoch} takes ${frame.kind} frames from ${sender ?? 'nobody'}, not from ${from}`,
  );
}

/**
 * The entries of an activation frame, each with its own rows (views into the payload, no copy).
 * @throws FRAME_INVALID when the payload is not rows × hidden
 */
export function activationWork(frame: Frame, hidden: number): Work[] {
  checkActivationWidth(frame, hidden);
  const wire = frame.dtype === 'f32' ? 'f32' : 'f16';
  return splitRows(frame.entries, frame.payload).map(({ entry, rows }) => ({ ...entry, wire, hidden: rows }));
}

/** The next decode step of each entry of a token frame, in the sequence's own wire format. */
export function tokenWork(frame: Frame, wireOf: (sequence: number) => WireDtype): Work[] {
  const ids = tokenIds(frame);
  return frame.entries.map((entry, index) => ({
    ...entry,
    sample: true,
    wire: wireOf(entry.sequence),
    tokens: ids.subarray(index, index + 1),
  }));
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

/** Names the tokens that an output holds: one for each work that asked for a sample, in order. */
export function sampledTokens(works: readonly Work[], output: StepOutput): SampledToken[] {
  const sampling = works.filter((work) => work.sample);
  const { sampled } = output;
  if (sampled?.length !== sampling.length) {
    throw new ShoalError(
      'INTERNAL',
      `the engine sampled ${sampled?.length ?? 'no'} tokens, ${sampling.length} were asked for`,
    );
  }
  return sampling.map((work, index) => ({
    sequence: work.sequence,
    position: work.position + work.count,
    token: sampled[index]!,
    logprobs: output.logprobs?.[index],
  }));
}

export type FrameBody = Pick<Frame, 'kind' | 'dtype' | 'entries' | 'payload'>;

export function activationBody(parts: readonly { entry: Work; rows: Uint8Array }[]): FrameBody {
  return {
    kind: 'activation',
    dtype: parts[0]!.entry.wire,
    entries: parts.map(({ entry }) => plainEntry(entry)),
    payload: concatBytes(parts.map(({ rows }) => rows)),
  };
}

export function tokenBody(tokens: readonly Omit<SampledToken, 'logprobs'>[]): FrameBody {
  return {
    kind: 'token',
    dtype: 'u32',
    entries: tokens.map(({ sequence, position }) => ({
      sequence,
      position,
      count: 1,
      sample: true,
      truncate: false,
    })),
    payload: tokenPayload(tokens.map(({ token }) => token)),
  };
}

export function ackBody(works: readonly Work[]): FrameBody {
  return { kind: 'ack', dtype: 'none', entries: works.map(plainEntry), payload: new Uint8Array(0) };
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

function plainEntry({ sequence, position, count, sample, truncate }: FrameEntry): FrameEntry {
  return { sequence, position, count, sample, truncate };
}
