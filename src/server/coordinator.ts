/**
 * Generations: ids in, ids out, whatever happens to the pipelines below. A generation holds one sequence on one
 * pipeline at a time; when that is lost, it goes on as a new sequence on the next pipeline, which prefills the prompt
 * and everything generated so far. Draws are keyed by (seed, position), so the tokens go on as if nothing had happened.
 */
import type { Logger } from 'pino';
import type { GenerateEvent, GenerateRequest, ServingStage, TokenGenerator } from '../backend/generator.ts';
import { type ErrorCode, ShoalError } from '../config/errors.ts';
import {
  CAPACITY_RETRY_MS,
  MAX_CAPACITY_RETRIES,
  MAX_CONCURRENT_REQUESTS,
  MAX_RESTARTS,
  PIPELINE_WAIT_MS,
  RESTART_PAUSE_MS,
} from '../config/limits.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { PeerMessage } from '../mesh/protocol/control.ts';
import type { Pipeline } from './pipeline.ts';
import type { Pipelines } from './pipelines.ts';
import type { Peer } from './registry.ts';
import { Sequence, type SequenceToken } from './sequence.ts';
import { Slots } from './slots.ts';
import type { Timers } from './timers.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface CoordinatorOptions {
  readonly pipelines: Pipelines;
  readonly timers: Timers;
  readonly log: Logger;
  /** Of activations between stages; a sequence whose values leave f16's range goes on with f32. */
  readonly wire?: WireDtype;
}

export class Coordinator implements TokenGenerator {
  readonly #options: CoordinatorOptions;
  readonly #slots: Slots;
  readonly #sequences = new Map<number, Sequence>();
  readonly #closing = new AbortController();
  #lastSequence = 0;
  #inFlight = 0;

  constructor(options: CoordinatorOptions) {
    const { pipelines } = options;
    this.#options = options;
    this.#slots = new Slots(() => pipelines.live);
    pipelines.onLive(() => this.#slots.pump());
    pipelines.onBroken((pipeline, reason) => {
      for (const sequence of [...this.#sequences.values()]) {
        if (sequence.pipeline === pipeline) sequence.fail(reason);
      }
    });
  }

  /** Generations that run or wait. */
  get inFlight(): number {
    return this.#inFlight;
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    return this.#generate(request, AbortSignal.any([signal, this.#closing.signal]));
  }

  opened(peer: Peer, message: Message<'opened'>): void {
    const sequence = this.#find(peer, message);
    const verdict = sequence?.opened(peer);
    if (verdict !== 'taken') this.#refuse(peer, message, verdict);
  }

  token(peer: Peer, message: Message<'token'>): void {
    const sequence = this.#find(peer, message);
    const verdict = sequence?.token(peer, message);
    if (verdict !== 'taken') this.#refuse(peer, message, verdict);
  }

  sequenceFailed(peer: Peer, message: Message<'sequence-failed'>): void {
    const sequence = this.#find(peer, message);
    if (sequence === undefined) this.#refuse(peer, message, undefined);
    else sequence.fail(ShoalError.from(message.error), peer);
  }

  /** Ends every generation with ABORTED. */
  close(): void {
    this.#closing.abort(new ShoalError('ABORTED', 'the server is shutting down'));
  }

  async *#generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    if (this.#inFlight >= MAX_CONCURRENT_REQUESTS) {
      throw new ShoalError(
        'OVERLOADED',
        `${this.#inFlight} requests are running or waiting, and the server takes ${MAX_CONCURRENT_REQUESTS}; try again later`,
      );
    }
    this.#inFlight++;
    try {
      yield* this.#run(request, signal);
    } finally {
      this.#inFlight--;
    }
  }

  async *#run(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    const ids = [...request.prompt];
    let wire = this.#options.wire ?? 'f16';
    let restarts = 0;
    let refusals = 0;
    for (;;) {
      const pipeline = await this.#slot(ids.length > request.prompt.length || restarts > 0, signal);
      const sequence = this.#open(pipeline, request, ids, wire);
      try {
        let announced = false;
        for (;;) {
          const token = await sequence.next(signal);
          if (!announced) {
            yield { type: 'pipeline', stages: servingStages(pipeline), restarts };
            announced = true;
          }
          ids.push(token.id);
          yield { type: 'token', id: token.id };
          const reason = finishReason(request, ids, token);
          if (reason !== null) {
            yield { type: 'finished', reason };
            return;
          }
        }
      } catch (thrown) {
        const error = ShoalError.from(thrown);
        this.#log(sequence, error);
        const remedy = REMEDIES[error.code] ?? 'restart';
        if (remedy === 'give up') throw error;
        if (remedy === 'wait for room') {
          if (++refusals > MAX_CAPACITY_RETRIES) {
            throw new ShoalError('OVERLOADED', `the workers have no room for this request: ${error.message}`);
          }
        } else {
          if (++restarts > MAX_RESTARTS) {
            throw new ShoalError(
              'PIPELINE_LOST',
              `the answer was started again ${MAX_RESTARTS} times and failed each time, the last time with ${error}`,
              { cause: error },
            );
          }
          if (remedy === 'restart with f32') wire = 'f32';
        }
        // A new pipeline is worth an immediate start; the one that failed it is not.
        if (pipeline.state !== 'ended') {
          this.#close(sequence);
          await this.#pause(
            remedy === 'wait for room' ? CAPACITY_RETRY_MS : RESTART_PAUSE_MS * restarts,
            signal,
          );
        }
      } finally {
        this.#close(sequence);
      }
    }
  }

  /** @throws NO_PIPELINE when none is live and none comes, or none within PIPELINE_WAIT_MS */
  async #slot(isResumed: boolean, signal: AbortSignal): Promise<Pipeline> {
    const { pipelines, timers } = this.#options;
    if (pipelines.live === null && !isResumed && !pipelines.isComing) {
      throw new ShoalError('NO_PIPELINE', pipelines.detail);
    }
    const deadline = new AbortController();
    const cancel = timers.after(PIPELINE_WAIT_MS, () => {
      const seconds = PIPELINE_WAIT_MS / 1_000;
      deadline.abort(
        pipelines.live === null
          ? new ShoalError('NO_PIPELINE', `no pipeline for ${seconds} s: ${pipelines.detail}`)
          : new ShoalError('OVERLOADED', `no room on the pipeline for ${seconds} s; try again later`),
      );
    });
    try {
      return await this.#slots.acquire(isResumed, AbortSignal.any([signal, deadline.signal]));
    } finally {
      cancel();
    }
  }

  #open(pipeline: Pipeline, request: GenerateRequest, ids: readonly number[], wire: WireDtype): Sequence {
    const { pipelines, timers } = this.#options;
    const sequence = new Sequence({
      id: this.#nextId(),
      pipeline,
      request,
      ids: [...ids],
      wire,
      timers,
      onUnresponsive: (peers) =>
        pipelines.membersFailed(
          pipeline,
          peers,
          new ShoalError('DEADLINE_EXCEEDED', 'it did not answer in time; it is left out for a while'),
        ),
    });
    this.#sequences.set(sequence.id, sequence);
    sequence.open();
    return sequence;
  }

  /** Idempotent: frees the sequence on its stages, its id and its slot. */
  #close(sequence: Sequence): void {
    if (!this.#sequences.delete(sequence.id)) return;
    sequence.close();
    this.#options.pipelines.release(sequence.pipeline);
    this.#slots.pump();
  }

  /** Unsigned 32-bit, never one that is live. */
  #nextId(): number {
    do {
      this.#lastSequence = (this.#lastSequence + 1) >>> 0;
    } while (this.#sequences.has(this.#lastSequence));
    return this.#lastSequence;
  }

  #find(peer: Peer, message: { readonly epoch: number; readonly sequence: number }): Sequence | undefined {
    const sequence = this.#sequences.get(message.sequence);
    const isIts = sequence?.pipeline.epoch === message.epoch && sequence.pipeline.stageOf(peer) !== undefined;
    return isIts ? sequence : undefined;
  }

  #refuse(
    peer: Peer,
    message: Message<'opened' | 'token' | 'sequence-failed'>,
    verdict: string | undefined,
  ): void {
    const { type, epoch, sequence } = message;
    // Not an error: what was on its way when the sequence was closed arrives here.
    this.#options.log.debug(
      { worker: peer.name, type, epoch, sequence },
      `refused: ${verdict ?? 'no such sequence of that epoch'}`,
    );
  }

  #log(sequence: Sequence, error: ShoalError): void {
    if (error.code === 'ABORTED') return;
    this.#options.log.warn(
      { sequence: sequence.id, epoch: sequence.pipeline.epoch, worker: sequence.failedBy?.name },
      `sequence failed: ${error}`,
    );
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#options.timers.after(ms, done);
      signal.addEventListener('abort', done);
    });
  }
}

type Remedy = 'restart' | 'restart with f32' | 'wait for room' | 'give up';

/** What to do about a sequence that failed; `restart` for codes that are not here. */
const REMEDIES: Partial<Record<ErrorCode, Remedy>> = {
  F16_RANGE: 'restart with f32',
  SEQUENCE_LIMIT: 'wait for room',
  KV_EXHAUSTED: 'wait for room',
  ABORTED: 'give up',
  // The same input gives the same values again.
  NON_FINITE: 'give up',
  CONTEXT_LENGTH_EXCEEDED: 'give up',
  INVALID_REQUEST: 'give up',
};

/**
 * Judged here as well as by the last stage. A stage that ends early has broken the protocol.
 * @throws PROTOCOL_INVALID
 */
function finishReason(
  { prompt, maxTokens, eosTokenIds }: GenerateRequest,
  ids: readonly number[],
  token: SequenceToken,
): 'stop' | 'length' | null {
  if (eosTokenIds.includes(token.id)) return 'stop';
  if (ids.length === prompt.length + maxTokens) return 'length';
  if (token.finish === null) return null;
  throw new ShoalError(
    'PROTOCOL_INVALID',
    `the last stage finished with '${token.finish}' at token ${ids.length - prompt.length} of ${maxTokens}, which is no end`,
  );
}

function servingStages({ stages }: Pipeline): ServingStage[] {
  return stages.map(({ peer, shard }) => ({
    peer: peer.id,
    name: peer.name,
    layers: [shard.start, shard.end],
  }));
}
