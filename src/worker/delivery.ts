import { ShoalError } from '../config/errors.ts';
import { MAX_BATCH_ROWS, MAX_FRAME_ENTRIES } from '../config/limits.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { Frame, FrameEntry } from '../mesh/frame.ts';
import { ackBody, activationBody, type FrameBody, tokenBody, type Work } from './frame-work.ts';
import type { StageSequence } from './stage-sequence.ts';

export interface DeliveryOptions {
  readonly isLinked: (peer: string) => boolean;
  readonly send: (peer: string, frame: Frame) => Promise<void>;
  /** A sequence whose rows cannot be sent, though its link is open. */
  readonly failed: (state: StageSequence, error: ShoalError) => void;
}

interface Part {
  readonly entry: FrameEntry;
  readonly rows: Uint8Array;
}

/** Sends what sequences have for other stages: what goes to one peer at once shares a frame. */
export class Delivery {
  readonly #options: DeliveryOptions;
  #microBatch = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Sends whatever the routes, the windows and the links let go of these sequences. */
  flush(states: Iterable<StageSequence>): void {
    const rows = new Frames<{ peer: string; wire: WireDtype; parts: Part[]; states: StageSequence[] }>();
    const tokens = new Frames<{ peer: string; states: StageSequence[] }>();
    for (const state of states) {
      const { place } = state;
      if (state.opened === null || state.outgoing.isHalted || !this.#options.isLinked(place.next)) continue;
      if (place.isLast) {
        if (state.tokens.unsent === undefined) continue;
        const frame = tokens.with(place.next, 1, () => ({ peer: place.next, states: [] }));
        frame.states.push(state);
        continue;
      }
      for (const part of this.#partsOf(state)) {
        const key = `${place.next} ${place.wire}`;
        const frame = rows.with(key, part.entry.count, () => ({
          peer: place.next,
          wire: place.wire,
          parts: [],
          states: [],
        }));
        frame.parts.push(part);
        frame.states.push(state);
      }
    }
    for (const frame of rows.all)
      this.#send(frame.peer, activationBody(frame.wire, frame.parts), frame.states);
    for (const frame of tokens.all) {
      const body = tokenBody(frame.states.map((state) => ({ ...state.id, ...state.tokens.unsent! })));
      for (const state of frame.states) state.tokens.sent();
      this.#send(frame.peer, body, frame.states);
    }
  }

  /** Tells the stages before that these chunks were computed. */
  acknowledge(chunks: readonly { readonly work: Work; readonly state: StageSequence }[]): void {
    const acks = new Frames<{ peer: string; works: Work[]; states: StageSequence[] }>();
    for (const { work, state } of chunks) {
      const peer = state.place.previous;
      if (peer === undefined || !this.#options.isLinked(peer)) continue;
      const frame = acks.with(peer, work.count, () => ({ peer, works: [], states: [] }));
      frame.works.push(work);
      frame.states.push(state);
    }
    for (const { peer, works, states } of acks.all) this.#send(peer, ackBody(works), states);
  }

  #partsOf(state: StageSequence): Part[] {
    const parts: Part[] = [];
    try {
      for (let chunk = state.outgoing.take(); chunk !== undefined; chunk = state.outgoing.take()) {
        const { position, count } = chunk;
        parts.push({ entry: { ...state.id, ...chunk }, rows: state.kept.rows(position, count) });
      }
    } catch (thrown) {
      this.#options.failed(state, ShoalError.from(thrown));
      return [];
    }
    return parts;
  }

  #send(peer: string, body: FrameBody, states: readonly StageSequence[]): void {
    this.#microBatch = (this.#microBatch + 1) >>> 0;
    const epochs = states.map((state) => state.place.epoch);
    // Not awaited: the windows bound what is under way, and computing goes on while bytes leave.
    this.#options.send(peer, { ...body, microBatch: this.#microBatch }).catch((thrown: unknown) => {
      const error = ShoalError.from(thrown, 'LINK_FAILED');
      // A link that is gone is told by itself; its sequences wait for another route.
      if (error.code === 'LINK_FAILED') return;
      for (const [index, state] of states.entries()) {
        if (state.place.epoch === epochs[index]) this.#options.failed(state, error);
      }
    });
  }
}

/** Frames in the making, one a key; a full one is followed by another. */
class Frames<F> {
  readonly all: F[] = [];
  readonly #open = new Map<string, { frame: F; rows: number; entries: number }>();

  with(key: string, rows: number, make: () => F): F {
    const open = this.#open.get(key);
    if (open !== undefined && open.rows + rows <= MAX_BATCH_ROWS && open.entries < MAX_FRAME_ENTRIES) {
      open.rows += rows;
      open.entries += 1;
      return open.frame;
    }
    const frame = make();
    this.#open.set(key, { frame, rows, entries: 1 });
    this.all.push(frame);
    return frame;
  }
}
