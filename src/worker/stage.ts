import { ShoalError } from '../config/errors.ts';
import type { StepOutput } from '../gpu/stage-engine.ts';
import { WIRE_DTYPE_BYTES } from '../gpu/stage-engine.ts';
import type { Frame } from '../mesh/frame.ts';
import type { RunningSequence } from '../mesh/protocol/control.ts';
import { Delivery } from './delivery.ts';
import { frameWork, sampledWorks, splitRows, type Work } from './frame-work.ts';
import { HopStats } from './hop-stats.ts';
import { OpenSequences, staleEpoch } from './open-sequences.ts';
import type { StageSequence } from './stage-sequence.ts';
import type {
  OpenSequence,
  PickedToken,
  PromptPart,
  ResumeSequence,
  Retell,
  StageOptions,
} from './stage-types.ts';
import { StepLoop } from './step-loop.ts';

/**
 * One held shard at work: for each of its sequences it is a stage of that sequence's route. Takes ids and frames, computes them in
 * micro-batches, sends the result on. The way of a token (docs/ARCHITECTURE.md) is this file; where a route has one stage, the next and
 * the first are the stage itself over a loopback, and no branch is another.
 *
 * Nothing is computed for a frame of the wrong sender, epoch, sequence or position.
 */
export class Stage {
  readonly hop: HopStats;
  readonly #options: StageOptions;
  readonly #loop: StepLoop;
  readonly #sequences: OpenSequences;
  readonly #delivery: Delivery;
  #destroyed = false;

  constructor(options: StageOptions) {
    this.hop = options.hop ?? new HopStats();
    this.#options = options;
    this.#loop = new StepLoop(options.engine, {
      isReady: (work) => this.#isReady(work),
      begin: (work) => this.#begin(work),
      isCurrent: (work) => this.#current(work) !== undefined,
      computed: (works, output) => this.#computed(works, output),
      rowFailed: (work, error) => this.#fail(this.#current(work), error),
      engineFailed: (error) => {
        this.failAll(error);
        options.events.stageFailed(error);
      },
      batchOver: () => this.#sequences.settle(),
    });
    this.#sequences = new OpenSequences(options, this.#loop);
    this.#delivery = new Delivery({
      isLinked: options.isLinked,
      send: options.send,
      failed: (state, error) => this.#fail(state, error),
    });
  }

  get sequences(): number {
    return this.#sequences.size;
  }

  has(sequence: number): boolean {
    return this.#sequences.has(sequence);
  }

  /** For a server that may not know them. */
  get running(): Omit<RunningSequence, 'shard'>[] {
    return this.#sequences
      .values()
      .map(({ id, place: { index, route, wire } }) => ({ ...id, index, route, wire }));
  }

  /** Peers of sequences that are not finished: something is waited for from them, or by them. */
  get neighbours(): ReadonlySet<string> {
    const going = this.#sequences.values().filter(({ tokens }) => !tokens.isFinished);
    return new Set(going.flatMap(({ place }) => [...place.neighbours]));
  }

  /** Positions that the sequences may come to take of the KV cache. */
  get reservedPositions(): readonly number[] {
    return this.#sequences.values().map(({ maxPositions }) => maxPositions);
  }

  /** Makes room for a sequence, or takes another route for it; answers with `opened` or `sequenceFailed`. */
  open(options: OpenSequence): void {
    if (this.#destroyed) return;
    this.#sequences.open(options);
    this.#loop.pump();
  }

  /** The stages of the new route stand: from here on rows may go to the next. */
  resume(resume: ResumeSequence): void {
    const state = this.#commanded(resume);
    if (state?.opened === null || state === undefined) return;
    const { engine } = this.#options;
    try {
      if (!state.hasBegun) engine.truncate(resume.sequence, resume.position);
      state.resume(resume);
    } catch (error) {
      this.#fail(state, ShoalError.from(error));
      return;
    }
    this.#delivery.flush([state]);
    this.#loop.pump();
  }

  /** Ids that are known: computed by the first stage, noted for penalties by the last. */
  prompt(part: PromptPart): void {
    const state = this.#commanded(part);
    if (state === undefined) return;
    const { engine } = this.#options;
    try {
      for (const { position, ids, prompt } of state.prompt.take(part, engine.spec.vocab)) {
        engine.note(part.sequence, position, ids, prompt);
      }
    } catch (error) {
      this.#fail(state, ShoalError.from(error));
      return;
    }
    this.#feed(state);
    this.#loop.pump();
  }

  /** Tells the tokens from a position on again. */
  retell(retell: Retell): void {
    const state = this.#commanded(retell);
    if (state === undefined) return;
    const from = Math.max(retell.position, state.tokens.first ?? state.place.known);
    this.#options.events.retold(state.id, from, state.tokens.from(from));
  }

  /** Forgets a sequence. Idempotent; frames that are still on their way are dropped. */
  close(sequence: number): void {
    this.#sequences.close(sequence);
    this.#loop.pump();
  }

  /** A frame from the link to `from`; entries of sequences that are not here are for others. Refusals are reported as events, never thrown. */
  receive(from: string, frame: Frame): void {
    if (this.#destroyed) return;
    const works =
      frame.kind === 'ack' ? [] : frameWork(frame, (sequence) => this.#sequences.get(sequence)?.place);
    for (const [index, entry] of frame.entries.entries()) {
      const state = this.#sequences.get(entry.sequence);
      if (state === undefined || !this.#mayCome(state, from, frame, entry.epoch)) continue;
      if (frame.kind === 'ack') this.#takeAck(state, from, entry.position);
      else this.#enqueue(state, { ...works[index]!, layers: state.place.layers }, from);
    }
    this.#loop.pump();
  }

  /** Rows may be sent to `peer` from now on. */
  linkOpened(peer: string): void {
    this.#delivery.flush(this.#sendingTo(peer));
  }

  /** Frames to `peer` may be lost: what was sent there waits for another route. */
  linkLost(peer: string): void {
    for (const state of this.#sendingTo(peer)) if (state.hasSent) state.outgoing.halt();
  }

  /** Peers to which frames may have been lost on a route that still stands. */
  get lostPeers(): string[] {
    return this.#sequences.values().flatMap(({ outgoing, place }) => (outgoing.isHalted ? place.next : []));
  }

  /** Fails every sequence with `error`. */
  failAll(error: ShoalError): void {
    for (const state of this.#sequences.values()) this.#fail(state, error);
  }

  closeAll(): void {
    for (const { sequence } of this.#sequences.values()) this.close(sequence);
  }

  /** Frees the engine and everything of every sequence. Idempotent; nothing is reported after it. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#loop.stop();
    this.#sequences.clear();
    this.#options.engine.destroy();
  }

  // — intake ———————————————————————————————————————————————————————————————————————————————————

  /** The sequence that a command names, in the epoch that it names. */
  #commanded({ sequence, epoch }: { sequence: number; epoch: number }): StageSequence | undefined {
    const state = this.#sequences.get(sequence);
    if (state === undefined || state.place.epoch === epoch) return state;
    this.#options.events.refused(staleEpoch(state, epoch));
    return undefined;
  }

  #mayCome(state: StageSequence, from: string, { kind }: Frame, epoch: number): boolean {
    const { place, sequence } = state;
    let error: ShoalError | undefined;
    if (epoch !== place.epoch) {
      error = staleEpoch(state, epoch);
    } else if (place.senderOf(kind) !== from) {
      error = new ShoalError(
        'FRAME_INVALID',
        `stage ${place.index} of sequence ${sequence} takes ${kind} frames from ${place.senderOf(kind) ?? 'nobody'}, not from ${from}`,
      );
    }
    if (error !== undefined) this.#options.events.refused(error, from);
    return error === undefined;
  }

  #takeAck(state: StageSequence, from: string, position: number): void {
    if (state.outgoing.acknowledged(position)) {
      this.#delivery.flush([state]);
      return;
    }
    const what = `sequence ${state.sequence}: no chunk at ${position} waits for an ack`;
    this.#options.events.refused(new ShoalError('FRAME_INVALID', what), from);
  }

  #enqueue(state: StageSequence, work: Work, from?: string): void {
    const { spec } = this.#options.engine;
    try {
      state.checkWork(work, spec.vocab, spec.hidden * WIRE_DTYPE_BYTES[work.wire]);
      this.#loop.add(work);
    } catch (error) {
      this.#fail(state, ShoalError.from(error), from);
    }
  }

  /** Keeps one chunk of the ids waiting, not all: chunks of several sequences and decode rows then take turns. */
  #feed(state: StageSequence): void {
    const chunk = state.prompt.nextChunk();
    if (chunk === undefined) return;
    const { layers, wire } = state.place;
    // `resume` has trimmed the KV cache.
    const count = chunk.tokens.length;
    this.#enqueue(state, { ...state.id, ...chunk, count, truncate: false, layers, wire });
  }

  // — computing ————————————————————————————————————————————————————————————————————————————————

  #isReady(work: Work): boolean {
    const state = this.#current(work);
    if (state === undefined) return false;
    // The last stage's ids come over another path than the activations; a sample must not overtake them.
    if (work.sample) return state.prompt.mayPick;
    return state.place.isLast || state.outgoing.hasRoom;
  }

  /** The sequence of a piece of work, if it is still on the route that the work is for. */
  #current(work: Work): StageSequence | undefined {
    const state = this.#sequences.get(work.sequence);
    return state?.place.epoch === work.epoch ? state : undefined;
  }

  /** Applies `truncate` and checks that the entry starts where the KV cache ends; fails the sequence otherwise. */
  #begin(work: Work): boolean {
    const { engine } = this.#options;
    const { sequence, position } = work;
    const state = this.#current(work);
    if (state === undefined) return false;
    try {
      // Only where there is more: ids that were noted for penalties, perhaps before this, would go too.
      if (work.truncate && engine.length(sequence) > position) engine.truncate(sequence, position);
      const held = engine.length(sequence);
      if (held !== position) {
        throw new ShoalError(
          'POSITION_GAP',
          `sequence ${sequence}: entry at position ${position}, stage ${state.place.index} holds ${held}; restart the sequence`,
        );
      }
    } catch (error) {
      this.#fail(state, ShoalError.from(error), state.place.previous);
      return false;
    }
    state.begin(position);
    if (state.place.isFirst && !work.sample) this.#feed(state);
    return true;
  }

  // — delivery —————————————————————————————————————————————————————————————————————————————————

  #computed(works: readonly Work[], output: StepOutput): void {
    const decodeRows = works.filter((work) => work.count === 1 && work.sample).length;
    const rows = works.reduce((sum, work) => sum + work.count, 0);
    this.hop.step(output.timings, decodeRows, rows - decodeRows);
    // A batch is of one range of layers, so that of all its sequences this is the last stage, or of none.
    const [, end] = works[0]!.layers;
    if (end === this.#options.engine.spec.layers) this.#pick(works, output);
    else this.#keep(works, output);
    const chunks = works.flatMap((work) => {
      const state = work.sample ? undefined : this.#current(work);
      return state === undefined ? [] : [{ work, state }];
    });
    this.#delivery.acknowledge(chunks);
  }

  #pick(works: readonly Work[], output: StepOutput): void {
    const picked: { state: StageSequence; token: PickedToken }[] = [];
    for (const { work, token, logprobs } of sampledWorks(works, output)) {
      const state = this.#current(work);
      if (state === undefined) continue;
      const position = work.position + work.count;
      picked.push({ state, token: { position, token, finish: state.finishAt(position, token), logprobs } });
    }
    for (const { state, token } of picked) state.tokens.add(token);
    // First the frame that the next step waits for, then the news for the gateway.
    this.#delivery.flush(picked.map(({ state }) => state));
    if (picked.length > 0) {
      this.#options.events.tokens(picked.map(({ state, token }) => ({ id: state.id, token })));
    }
  }

  #keep(works: readonly Work[], output: StepOutput): void {
    if (output.hidden === undefined) {
      throw new ShoalError('INTERNAL', 'the engine returned no hidden states for layers before the last');
    }
    const going: StageSequence[] = [];
    for (const { entry, rows } of splitRows(works, output.hidden)) {
      const state = this.#sequences.get(entry.sequence);
      if (state === undefined) continue;
      // Of the route before too: the rows are held in the KV cache, and what the next stage is sent may begin with them.
      state.kept.append(entry.position, entry.count, rows);
      if (state.opened !== null) going.push(state);
    }
    this.#delivery.flush(going);
    this.#options.kept.enforce();
  }

  #sendingTo(peer: string): StageSequence[] {
    return this.#sequences.values().filter(({ place }) => place.next === peer);
  }

  #fail(state: StageSequence | undefined, error: ShoalError, peer?: string): void {
    if (!this.#destroyed && state !== undefined) this.#sequences.fail(state, error, peer);
  }
}
