/**
 * Generations: ids in, ids out, whatever happens to the pipelines below. A generation holds one sequence on one
 * pipeline at a time; when that is lost, it goes on as a new sequence on the next pipeline, which prefills the prompt
 * and everything generated so far. Draws are keyed by (seed, position), so the tokens go on as if nothing had happened.
 */
import type { Logger } from 'pino';
import { Ending } from '../../backend/ending.ts';
import type {
  GenerateEvent,
  GenerateRequest,
  ServingStage,
  TokenGenerator,
} from '../../backend/fxn/generator.ts';
import { linkedSignal } from '../../backend/linked-signal.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  MAX_CONCURRENT_REQUESTS,
  MAX_LOSSES_TOLD,
  MAX_RESTARTS,
  PIPELINE_WAIT_MS,
  RESTART_PAUSE_MS,
  RETRY_AFTER_SECONDS,
} from '../../config/limits.ts';
import type { WireDtype } from '../../gpu/stage-engine.ts';
import type { PeerMessage } from '../../mesh/protocol/control.ts';
import type { Loss } from '../../mesh/protocol/status.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Turn } from '../../schedule/turns.ts';
import type { Pipeline } from './pipeline.ts';
import type { Pipelines } from './pipelines.ts';
import type { Peer } from './registry.ts';
import { Sequence, type SequenceToken } from './sequence.ts';
import { Slots } from './slots.ts';
import { Strikes } from './strikes.ts';
import { judgeWorkerFailure } from './worker-verdict.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface CoordinatorOptions {
  readonly pipelines: Pipelines;
  readonly timers: Timers;
  readonly log: Logger;
  /** Of activations between stages; a sequence whose values leave f16's range goes on with f32. */
  readonly wire: WireDtype;
}

export class Coordinator implements TokenGenerator {
  readonly #options: CoordinatorOptions;
  readonly #slots: Slots;
  readonly #sequences = new Map<number, Sequence>();
  readonly #strikes = new Strikes();
  readonly #closing = new Ending();
  #lastSequence = 0;
  #lastTicket = 0;
  #lastGeneration = 0;
  #inFlight = 0;
  /** Of them, each client's. */
  readonly #places = new Map<string, number>();
  /** Of them, those that have lost their pipeline and had no token since. */
  readonly #resuming = new Set<number>();

  constructor(options: CoordinatorOptions) {
    const { pipelines } = options;
    this.#options = options;
    this.#slots = new Slots(() => pipelines.live, options.timers);
    pipelines.onLive(() => this.#slots.pump());
    pipelines.onBroken((pipeline, loss) => {
      for (const sequence of [...this.#sequences.values()]) {
        // Why is in the log; it may be the words of a worker, which are not for clients.
        if (sequence.pipeline === pipeline)
          sequence.fail(new ShoalError('PIPELINE_LOST', 'a worker left or failed'), null, loss);
      }
    });
  }

  /** Generations that run or wait. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Generations that have lost their pipeline and had no token since. */
  get resuming(): number {
    return this.#resuming.size;
  }

  async *generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const { client = '' } = request;
    if (this.#inFlight >= MAX_CONCURRENT_REQUESTS && !this.#slots.makeRoom(client, this.#places, full())) {
      throw full();
    }
    this.#count(client, 1);
    const ended = linkedSignal(signal, this.#closing);
    const id = ++this.#lastGeneration;
    try {
      yield* this.#run(id, request, client, ended.signal);
    } finally {
      this.#resuming.delete(id);
      ended.unlink();
      this.#count(client, -1);
    }
  }

  #count(client: string, change: 1 | -1): void {
    this.#inFlight += change;
    const places = (this.#places.get(client) ?? 0) + change;
    if (places === 0) this.#places.delete(client);
    else this.#places.set(client, places);
  }

  opened(peer: Peer, message: Message<'opened'>): void {
    const sequence = this.#find(peer, message);
    const verdict = sequence?.opened(peer);
    if (verdict !== 'taken') this.#refuse(peer, message, verdict);
  }

  token(peer: Peer, message: Message<'token'>): void {
    const sequence = this.#find(peer, message);
    const verdict = sequence?.token(peer, message);
    if (sequence !== undefined && verdict === 'taken') this.#strikes.clear(sequence.pipeline);
    else if (sequence !== undefined && verdict === 'a gap')
      this.#strike(sequence.pipeline, peer, 'lost a token');
    else this.#refuse(peer, message, verdict);
  }

  sequenceFailed(peer: Peer, message: Message<'sequence-failed'>): void {
    const sequence = this.#find(peer, message);
    if (sequence === undefined) {
      this.#refuse(peer, message, undefined);
      return;
    }
    const { code, message: text } = message.error;
    const { error, isBlamed } = judgeWorkerFailure(code, sequence, peer);
    this.#options.log.warn(
      { sequence: sequence.id, epoch: message.epoch, worker: peer.name, code },
      `a worker reports a failed sequence: ${text}`,
    );
    if (sequence.fail(error, peer) && isBlamed) {
      this.#strike(sequence.pipeline, peer, `failed a sequence with ${code}`);
    }
  }

  /** Ends every generation with ABORTED. */
  close(): void {
    this.#closing.abort(new ShoalError('ABORTED', 'the server is shutting down'));
    this.#slots.close();
  }

  async *#run(
    id: number,
    request: GenerateRequest,
    client: string,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const { timers, pipelines } = this.#options;
    const ids = [...request.prompt];
    let wire = this.#options.wire;
    let ticket = ++this.#lastTicket;
    let round = this.#slots.roundFor(client);
    let restarts = 0;
    /** Why they were; the newest of them. */
    let losses: readonly Loss[] = [];
    /** Of them, since the last token. */
    let failures = 0;
    let waitingSince: number | null = null;
    /** Had no room for it though nothing else ran there: others need not wait behind it. */
    let tooSmall: Pipeline | null = null;
    let nonFinite: { readonly by: Peer | null; readonly pipeline: Pipeline } | null = null;
    for (;;) {
      waitingSince ??= timers.now();
      const hasStarted = ids.length > request.prompt.length || restarts > 0;
      const isResumed = hasStarted && (tooSmall === null || tooSmall !== pipelines.live);
      const pipeline = await this.#slot(
        { client, round, ticket, isResumed },
        hasStarted,
        waitingSince,
        signal,
      );
      const sequence = this.#open(pipeline, request, ids, wire, ticket);
      try {
        let announced = false;
        for (;;) {
          const token = await sequence.next(signal);
          failures = 0;
          this.#resuming.delete(id);
          if (!announced) {
            yield { type: 'pipeline', stages: servingStages(pipeline), restarts, losses };
            announced = true;
          }
          ids.push(token.id);
          yield { type: 'token', id: token.id, ...(token.logprobs && { logprobs: token.logprobs }) };
          const reason = finishReason(request, ids, token);
          if (reason !== null) {
            yield { type: 'finished', reason };
            return;
          }
        }
      } catch (thrown) {
        if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
        const error = ShoalError.from(thrown);
        if (sequence.isOpen) waitingSince = null;
        if (error.code === 'SEQUENCE_LIMIT' || error.code === 'KV_EXHAUSTED') {
          this.#slots.refused(ticket, pipeline);
          if (pipeline.sequences === 1) {
            tooSmall = pipeline;
            ticket = ++this.#lastTicket;
            round = this.#slots.roundFor(client);
          }
          continue;
        }
        this.#log(sequence, error);
        if (error.code === 'PROTOCOL_INVALID') this.#strike(pipeline, pipeline.last, 'broke the protocol');
        if (error.code === 'NON_FINITE') {
          const by = sequence.failedBy;
          // The same on other hardware: it lies in the model or the request.
          if (nonFinite !== null && (nonFinite.by !== by || nonFinite.pipeline !== pipeline)) {
            throw new ShoalError(
              'NON_FINITE',
              'the model gave values that are no numbers, on one worker after another; shorten or change the prompt',
            );
          }
          nonFinite = { by, pipeline };
        }
        restarts++;
        losses = [...losses, sequence.lossBy(error)].slice(-MAX_LOSSES_TOLD);
        this.#resuming.add(id);
        if (++failures > MAX_RESTARTS) {
          throw new ShoalError(
            'PIPELINE_LOST',
            `the answer was started again ${MAX_RESTARTS} times and failed each time, the last time with ${error}`,
            { cause: error },
          );
        }
        if (error.code === 'F16_RANGE') wire = 'f32';
        // A new pipeline is worth an immediate start; the one that failed it is not.
        if (pipeline.state !== 'ended') {
          this.#close(sequence, ticket);
          await this.#pause(RESTART_PAUSE_MS * failures, signal);
        }
      } finally {
        this.#close(sequence, ticket);
      }
    }
  }

  /**
   * @param since when the generation began to wait (ms)
   * @throws NO_PIPELINE when none is live and none comes, or none within PIPELINE_WAIT_MS; OVERLOADED when there was no
   *   room for so long
   */
  async #slot(turn: Turn, hasStarted: boolean, since: number, signal: AbortSignal): Promise<Pipeline> {
    const { pipelines, timers } = this.#options;
    if (pipelines.live === null && !hasStarted && !pipelines.isComing) {
      throw new ShoalError('NO_PIPELINE', pipelines.detail);
    }
    const late = () => {
      const seconds = PIPELINE_WAIT_MS / 1_000;
      return pipelines.live === null
        ? new ShoalError('NO_PIPELINE', `no pipeline for ${seconds} s: ${pipelines.detail}`)
        : new ShoalError('OVERLOADED', `no room on the pipeline for ${seconds} s; try again later`, {
            retryAfterSeconds: RETRY_AFTER_SECONDS,
          });
    };
    const leftMs = since + PIPELINE_WAIT_MS - timers.now();
    if (leftMs <= 0) throw late();
    const deadline = new AbortController();
    const cancel = timers.after(leftMs, () => deadline.abort(late()));
    try {
      return await this.#slots.acquire(turn, AbortSignal.any([signal, deadline.signal]));
    } finally {
      cancel();
    }
  }

  /** The worker stays in the pipeline until this has happened MAX_STRIKES times without a token between. */
  #strike(pipeline: Pipeline, peer: Peer, what: string): void {
    if (!this.#strikes.add(peer)) return;
    const error = new ShoalError('PIPELINE_LOST', `it ${what}, again and again; it is left out for a while`);
    this.#options.pipelines.membersFailed(pipeline, [peer], error);
  }

  #open(
    pipeline: Pipeline,
    request: GenerateRequest,
    ids: readonly number[],
    wire: WireDtype,
    ticket: number,
  ): Sequence {
    const { pipelines, timers } = this.#options;
    const sequence = new Sequence({
      id: this.#nextId(),
      pipeline,
      request,
      ids: [...ids],
      wire,
      timers,
      events: {
        opened: () => this.#slots.opened(ticket),
        unresponsive: (peers) =>
          pipelines.membersFailed(
            pipeline,
            peers,
            new ShoalError('DEADLINE_EXCEEDED', 'it did not answer in time; it is left out for a while'),
          ),
        stalled: (error) => {
          if (this.#strikes.add(pipeline)) pipelines.stalled(pipeline, error);
        },
      },
    });
    this.#sequences.set(sequence.id, sequence);
    sequence.open();
    return sequence;
  }

  /** Idempotent: frees the sequence on its stages, its id and its slot. */
  #close(sequence: Sequence, ticket: number): void {
    if (!this.#sequences.delete(sequence.id)) return;
    sequence.close();
    this.#options.pipelines.release(sequence.pipeline);
    this.#slots.released(ticket, sequence.isOpen);
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

function full(): ShoalError {
  return new ShoalError(
    'OVERLOADED',
    `${MAX_CONCURRENT_REQUESTS} answers are running or waiting, which is all that the server takes; try again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

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
