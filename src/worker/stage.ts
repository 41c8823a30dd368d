import { ShoalError } from '../config/errors.ts';
import { MAX_STAGE_QUEUE } from '../config/limits.ts';
import type { StepOutput } from '../gpu/stage-engine.ts';
import type { Frame } from '../mesh/frame.ts';
import { pickBatch } from './batching.ts';
import {
  ackBody,
  activationBody,
  activationWork,
  checkSender,
  concatBytes,
  concatIds,
  type FrameBody,
  sampledTokens,
  splitRows,
  tokenBody,
  tokenWork,
  type Work,
} from './frame-work.ts';
import { HopStats } from './hop-stats.ts';
import { StageSequence } from './stage-sequence.ts';
import type { OpenSequence, PromptPart, StageOptions } from './stage-types.ts';
import { Tombstones } from './tombstones.ts';

/** Errors of one row, after which the other rows of its batch are computed again without it. */
const ROW_ERRORS = new Set(['F16_RANGE', 'NON_FINITE', 'POSITION_GAP', 'SEQUENCE_UNKNOWN']);

/**
 * One stage of one pipeline: takes prompts and frames, computes them in micro-batches, sends the result on.
 * The way of a token (docs/ARCHITECTURE.md) is this file; with one stage, `next` and `first` are the stage itself
 * over a loopback, and no branch is another.
 *
 * Nothing is computed for a frame of the wrong epoch, sequence or position: it fails its sequence with a typed error.
 */
export class Stage {
  readonly epoch: number;
  readonly index: number;
  readonly hop: HopStats;
  readonly #options: StageOptions;
  readonly #sequences = new Map<number, StageSequence>();
  readonly #tombstones = new Tombstones();
  /** Closed while the engine computes one of their rows: freed when the batch is done. */
  readonly #closing = new Set<number>();
  #queue: Work[] = [];
  #computing: readonly Work[] = [];
  #microBatch = 0;
  #destroyed = false;

  constructor(options: StageOptions) {
    const { engine, index, peers } = options;
    if (engine.shard.embedding !== (index === 0) || engine.shard.head !== (index === peers.length - 1)) {
      throw new ShoalError(
        'INTERNAL',
        `stage ${index} of ${peers.length} holds embedding ${engine.shard.embedding} and head ${engine.shard.head}; the embedding belongs to the first stage, the head to the last`,
      );
    }
    this.epoch = options.epoch;
    this.index = index;
    this.hop = options.hop ?? new HopStats();
    this.#options = options;
  }

  get sequences(): number {
    return this.#sequences.size;
  }

  /** Makes room for a sequence; answers with `opened` or `sequenceFailed`. */
  open(options: OpenSequence): void {
    if (this.#destroyed) return;
    const { sequence } = options;
    if (this.#sequences.has(sequence) || this.#closing.has(sequence)) {
      this.#fail(
        sequence,
        new ShoalError('SEQUENCE_LIMIT', `sequence ${sequence} is open already; use a new number`),
      );
      return;
    }
    try {
      this.#options.engine.openSequence(sequence, {
        maxPositions: options.maxPositions,
        sampling: options.sampling,
        ...(options.topLogprobs !== undefined && { topLogprobs: options.topLogprobs }),
      });
    } catch (error) {
      this.#fail(sequence, ShoalError.from(error));
      return;
    }
    this.#tombstones.delete(sequence);
    this.#sequences.set(sequence, new StageSequence(options));
    this.#options.events.opened(sequence);
  }

  /** Ids of the prompt: computed by the first stage, noted for penalties by the last. */
  prompt(part: PromptPart): void {
    const state = this.#known(part.sequence);
    if (state === undefined) return;
    const { engine } = this.#options;
    try {
      state.addPrompt(part, engine.spec.vocab);
      if (engine.shard.head && state.hasPenalties) this.#note(state, part);
    } catch (error) {
      this.#fail(part.sequence, ShoalError.from(error));
      return;
    }
    if (this.index === 0) this.#feed(state);
    this.#pump();
  }

  /** Forgets a sequence. Idempotent; frames that are still on their way are dropped. */
  close(sequence: number): void {
    if (!this.#sequences.delete(sequence)) return;
    this.#tombstones.add(sequence);
    this.#queue = this.#queue.filter((work) => work.sequence !== sequence);
    // The engine must not lose KV pages that a running batch writes.
    if (this.#computing.some((work) => work.sequence === sequence)) this.#closing.add(sequence);
    else this.#options.engine.closeSequence(sequence);
    this.#pump();
  }

  /** A frame from the link to `from`. Refusals are reported as events, never thrown. */
  receive(from: string, frame: Frame): void {
    if (this.#destroyed) return;
    const { events, peers } = this.#options;
    try {
      if (frame.epoch !== this.epoch) {
        throw new ShoalError(
          'EPOCH_STALE',
          `a frame of epoch ${frame.epoch} came to the stage of epoch ${this.epoch}; its pipeline was replaced`,
        );
      }
      checkSender(frame, from, peers, this.index);
    } catch (error) {
      events.refused(from, ShoalError.from(error));
      return;
    }
    if (frame.kind === 'ack') this.#takeAcks(from, frame);
    else this.#takeWork(from, frame);
    this.#pump();
  }

  /** Fails every sequence with `error` (a neighbour is gone) and goes on. */
  failAll(error: ShoalError): void {
    for (const sequence of [...this.#sequences.keys()]) this.#fail(sequence, error);
  }

  /** Frees the engine and everything of every sequence. Idempotent; nothing is reported after it. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#queue = [];
    this.#sequences.clear();
    this.#options.engine.destroy();
  }

  // — intake ———————————————————————————————————————————————————————————————————————————————————

  #takeWork(from: string, frame: Frame): void {
    const { engine } = this.#options;
    let works: Work[];
    try {
      works =
        frame.kind === 'activation'
          ? activationWork(frame, engine.spec.hidden)
          : tokenWork(frame, (sequence) => this.#sequences.get(sequence)?.wire ?? 'f16');
    } catch (error) {
      this.#refuseEntries(from, frame, ShoalError.from(error));
      return;
    }
    for (const work of works) {
      const state = this.#known(work.sequence);
      if (state !== undefined) this.#enqueue(state, work);
    }
  }

  #takeAcks(from: string, frame: Frame): void {
    for (const entry of frame.entries) {
      // An ack for a closed sequence carries no news.
      if (this.#sequences.get(entry.sequence)?.chunkAcknowledged(entry.position) !== false) continue;
      this.#options.events.refused(
        from,
        new ShoalError(
          'FRAME_INVALID',
          `sequence ${entry.sequence}: no chunk at ${entry.position} waits for an ack`,
        ),
      );
    }
  }

  #enqueue(state: StageSequence, work: Work): void {
    try {
      state.checkWork(work, this.#options.engine.spec.vocab);
      if (this.#queue.length >= MAX_STAGE_QUEUE) {
        throw new ShoalError(
          'OVERLOADED',
          `${this.#queue.length} entries wait for stage ${this.index}, the bound is ${MAX_STAGE_QUEUE}; send fewer requests at once`,
        );
      }
    } catch (error) {
      this.#fail(work.sequence, ShoalError.from(error));
      return;
    }
    this.#queue.push(work);
  }

  /** Keeps one prompt chunk waiting, not all: chunks of several prompts and decode rows then take turns. */
  #feed(state: StageSequence): void {
    const chunk = state.nextChunk();
    if (chunk !== undefined) this.#enqueue(state, chunk);
  }

  #note(state: StageSequence, part: PromptPart): void {
    const { engine } = this.#options;
    const promptIds = part.ids.slice(0, Math.max(0, state.promptTokens - part.position));
    const outputIds = part.ids.slice(promptIds.length);
    if (promptIds.length > 0) engine.note(part.sequence, part.position, Uint32Array.from(promptIds), true);
    if (outputIds.length > 0) {
      engine.note(part.sequence, part.position + promptIds.length, Uint32Array.from(outputIds), false);
    }
  }

  // — computing ————————————————————————————————————————————————————————————————————————————————

  #pump(): void {
    if (this.#destroyed || this.#computing.length > 0) return;
    const picked = pickBatch(this.#queue, (work) => this.#isReady(work));
    if (picked.length === 0) return;
    const batch = picked.map((index) => this.#queue[index]!);
    const taken = new Set(batch);
    this.#queue = this.#queue.filter((work) => !taken.has(work));
    this.#computing = batch;
    void this.#compute(batch).finally(() => {
      this.#computing = [];
      if (this.#destroyed) return;
      for (const sequence of this.#closing) this.#options.engine.closeSequence(sequence);
      this.#closing.clear();
      this.#pump();
    });
  }

  #isReady(work: Work): boolean {
    const state = this.#sequences.get(work.sequence);
    if (state === undefined) return false;
    // The last stage's prompt ids come over another path than the activations; a sample must not overtake them.
    if (work.sample) return !this.#options.engine.shard.head || !state.hasPenalties || state.promptWhole;
    return this.#options.engine.shard.head || state.windowOpen;
  }

  async #compute(batch: readonly Work[]): Promise<void> {
    const works = batch.filter((work) => this.#alignPosition(work));
    for (const work of works) {
      const state = this.#sequences.get(work.sequence);
      if (this.index === 0 && state !== undefined && !work.sample) this.#feed(state);
    }
    if (works.length === 0) return;
    try {
      const output = await this.#step(works);
      if (!this.#destroyed) this.#deliver(works, output);
    } catch (thrown) {
      if (this.#destroyed) return;
      await this.#recover(works, ShoalError.from(thrown));
    }
  }

  /** Applies `truncate` and checks that the entry starts where the KV cache ends; fails the sequence otherwise. */
  #alignPosition(work: Work): boolean {
    const { engine } = this.#options;
    try {
      if (work.truncate) engine.truncate(work.sequence, work.position);
      const held = engine.length(work.sequence);
      if (held === work.position) return true;
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${work.sequence}: entry at position ${work.position}, stage ${this.index} holds ${held}; restart the sequence`,
      );
    } catch (error) {
      this.#fail(work.sequence, ShoalError.from(error));
      return false;
    }
  }

  #step(works: readonly Work[]): Promise<StepOutput> {
    const { engine } = this.#options;
    const entries = works.map(({ sequence, position, count, sample }) => ({
      sequence,
      position,
      count,
      sample,
    }));
    const wire = works[0]!.wire;
    return engine.shard.embedding
      ? engine.step({ entries, wire, tokens: concatIds(works) })
      : engine.step({ entries, wire, hidden: concatBytes(works.map((work) => work.hidden!)) });
  }

  /** One bad row must not fail its company: they go back to where they were and are computed one by one. */
  async #recover(works: readonly Work[], error: ShoalError): Promise<void> {
    const { engine, events } = this.#options;
    if (!ROW_ERRORS.has(error.code)) {
      this.failAll(error);
      events.stageFailed(error);
      return;
    }
    const [only] = works;
    if (works.length === 1 && only !== undefined) {
      if (this.#sequences.has(only.sequence)) this.#fail(only.sequence, error);
      return;
    }
    for (const work of works) {
      if (!this.#sequences.has(work.sequence)) continue;
      try {
        if (engine.length(work.sequence) > work.position) engine.truncate(work.sequence, work.position);
        this.#deliver([work], await this.#step([work]));
      } catch (thrown) {
        if (this.#destroyed) return;
        await this.#recover([work], ShoalError.from(thrown));
      }
    }
  }

  // — delivery —————————————————————————————————————————————————————————————————————————————————

  #deliver(works: readonly Work[], output: StepOutput): void {
    const decodeRows = works.filter((work) => work.count === 1 && work.sample).length;
    const rows = works.reduce((sum, work) => sum + work.count, 0);
    this.hop.step(output.timings, decodeRows, rows - decodeRows);
    if (this.#options.engine.shard.head) this.#deliverTokens(works, output);
    else this.#deliverActivations(works, output);
    const chunks = works.filter((work) => !work.sample && this.#sequences.has(work.sequence));
    if (this.index > 0 && chunks.length > 0) this.#send(this.index - 1, ackBody(chunks));
  }

  #deliverTokens(works: readonly Work[], output: StepOutput): void {
    const tokens = sampledTokens(works, output).flatMap((token) => {
      const state = this.#sequences.get(token.sequence);
      return state === undefined ? [] : [{ ...token, finish: state.finishAt(token.position, token.token) }];
    });
    const ongoing = tokens.filter((token) => token.finish === null);
    // First the frame that the next step waits for, then the news for the gateway.
    if (ongoing.length > 0) this.#send(0, tokenBody(ongoing));
    for (const { sequence, position, token, finish, logprobs } of tokens) {
      this.#options.events.token(sequence, position, token, finish, logprobs);
    }
  }

  #deliverActivations(works: readonly Work[], output: StepOutput): void {
    if (output.hidden === undefined) {
      throw new ShoalError('INTERNAL', `the engine of stage ${this.index} returned no hidden states`);
    }
    const live = splitRows(works, output.hidden).filter(({ entry }) => this.#sequences.has(entry.sequence));
    for (const { entry } of live) {
      if (!entry.sample) this.#sequences.get(entry.sequence)?.chunkSent(entry.position);
    }
    if (live.length > 0) this.#send(this.index + 1, activationBody(live));
  }

  #send(stage: number, body: FrameBody): void {
    this.#microBatch = (this.#microBatch + 1) >>> 0;
    const frame: Frame = { ...body, epoch: this.epoch, microBatch: this.#microBatch };
    // Not awaited: the windows bound what is under way, and computing goes on while bytes leave.
    this.#options.send(this.#options.peers[stage]!, frame).catch((thrown: unknown) => {
      const error = ShoalError.from(thrown, 'LINK_FAILED');
      for (const { sequence } of frame.entries)
        if (this.#sequences.has(sequence)) this.#fail(sequence, error);
    });
  }

  // — refusal ——————————————————————————————————————————————————————————————————————————————————

  /** The open sequence, or nothing: a closed one is passed over in silence, an unknown one is reported. */
  #known(sequence: number): StageSequence | undefined {
    const state = this.#sequences.get(sequence);
    if (state === undefined && !this.#destroyed && !this.#tombstones.has(sequence)) {
      this.#fail(
        sequence,
        new ShoalError(
          'SEQUENCE_UNKNOWN',
          `stage ${this.index} of epoch ${this.epoch} has no sequence ${sequence}; open it first`,
        ),
      );
    }
    return state;
  }

  #refuseEntries(from: string, frame: Frame, error: ShoalError): void {
    const open = frame.entries.filter((entry) => this.#sequences.has(entry.sequence));
    for (const entry of open) if (this.#sequences.has(entry.sequence)) this.#fail(entry.sequence, error);
    if (open.length === 0) this.#options.events.refused(from, error);
  }

  #fail(sequence: number, error: ShoalError): void {
    if (this.#destroyed) return;
    this.close(sequence);
    this.#tombstones.add(sequence);
    this.#options.events.sequenceFailed(sequence, error);
  }
}
