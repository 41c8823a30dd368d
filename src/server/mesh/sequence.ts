import type { GenerateRequest } from '../../backend/fxn/generator.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  MAX_PROMPT_IDS_PER_MESSAGE,
  MAX_SEQUENCES_PER_STAGE,
  OPEN_DEADLINE_MS,
  PREFILL_MS_PER_POSITION,
  TOKEN_DEADLINE_MS,
} from '../../config/limits.ts';
import type { WireDtype } from '../../gpu/stage-engine.ts';
import type { PeerMessage, ServerMessage } from '../../mesh/protocol/control.ts';
import type { Loss } from '../../mesh/protocol/status.ts';
import type { Timers } from '../../mesh/timers.ts';
import { hasPenalties, type TokenLogprobs } from '../../model/sampling.ts';
import { TimerGroup } from '../timer-group.ts';
import type { Pipeline } from './pipeline.ts';
import type { Peer } from './registry.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface SequenceToken {
  readonly id: number;
  readonly finish: 'stop' | 'length' | null;
  /** Where the request asks for them. */
  readonly logprobs?: TokenLogprobs;
}

/** What a message of a peer turned out to be; the coordinator logs what is refused. */
export type Verdict =
  | 'taken'
  | 'not the last stage'
  | 'not open'
  | 'seen before'
  | 'ended'
  | 'a gap'
  | 'no logprobs';

/** What happens to a sequence besides its tokens. */
export interface SequenceEvents {
  /** Every stage has made room for it. */
  opened(): void;
  /** It has failed, as these stages did not answer `open` in time. */
  unresponsive(peers: readonly Peer[]): void;
  /** It has failed, as no token came in time, and no stage said why. */
  stalled(error: ShoalError): void;
}

/**
 * One sequence on one pipeline, from `open` to `close`. A generation whose pipeline breaks goes on as another
 * sequence with another id, so that late messages of the first can never pass for the second's.
 */
export class Sequence {
  readonly id: number;
  readonly pipeline: Pipeline;
  readonly #request: GenerateRequest;
  readonly #ids: readonly number[];
  readonly wire: WireDtype;
  readonly #timers: TimerGroup;
  readonly #events: SequenceEvents;
  readonly #unopened: Set<string>;
  readonly #tokens: SequenceToken[] = [];
  /** Where the next token stands. */
  #position: number;
  #started = false;
  #startedAt = 0;
  /** Its positions count in the pipeline's queue. */
  #isQueued = false;
  #failure: ShoalError | null = null;
  #failedBy: Peer | null = null;
  #loss: Loss | null = null;
  #isClosed = false;
  #wake: () => void = () => {};
  #cancelDeadline: () => void = () => {};

  /** @param ids the prompt and what was generated before, positions [0, ids.length) */
  constructor(options: {
    readonly id: number;
    readonly pipeline: Pipeline;
    readonly request: GenerateRequest;
    readonly ids: readonly number[];
    readonly wire: WireDtype;
    readonly timers: Timers;
    readonly events: SequenceEvents;
  }) {
    this.id = options.id;
    this.pipeline = options.pipeline;
    this.#request = options.request;
    this.#ids = options.ids;
    this.wire = options.wire;
    this.#timers = new TimerGroup(options.timers);
    this.#events = options.events;
    this.#position = options.ids.length;
    this.#unopened = new Set(options.pipeline.stages.map(({ peer }) => peer.id));
  }

  open(): void {
    const { prompt, maxTokens, eosTokenIds, sampling, topLogprobs } = this.#request;
    this.#sendToAll({
      type: 'open',
      epoch: this.pipeline.epoch,
      sequence: this.id,
      wire: this.wire,
      maxPositions: prompt.length + maxTokens,
      eosTokenIds: [...eosTokenIds],
      sampling,
      ...(topLogprobs !== undefined && { topLogprobs }),
      promptTokens: prompt.length,
    });
    this.#deadline(OPEN_DEADLINE_MS, () => {
      const silent = this.pipeline.stages.filter(({ peer }) => this.#unopened.has(peer.id));
      const peers = silent.map(({ peer }) => peer);
      const names = peers.map(({ name }) => name).join(', ');
      this.fail(
        new ShoalError('DEADLINE_EXCEEDED', `${names} did not open the sequence in ${OPEN_DEADLINE_MS} ms`),
      );
      this.#events.unresponsive(peers);
    });
  }

  opened(peer: Peer): Verdict {
    if (this.#failure !== null || this.#isClosed) return 'ended';
    if (!this.#unopened.delete(peer.id)) return 'seen before';
    if (this.#unopened.size === 0) {
      this.#start();
      this.#events.opened();
    }
    return 'taken';
  }

  /** Whether every stage has made room for it. */
  get isOpen(): boolean {
    return this.#started;
  }

  hasOpened(peer: Peer): boolean {
    return !this.#unopened.has(peer.id);
  }

  /** Only the next position counts. One beyond it means that a token was lost, which nothing can heal: the sequence fails. */
  token(peer: Peer, message: Message<'token'>): Verdict {
    if (peer !== this.pipeline.last) return 'not the last stage';
    if (this.#failure !== null || this.#isClosed) return 'ended';
    if (!this.#started) return 'not open';
    if (message.position < this.#position) return 'seen before';
    if (message.position > this.#position) {
      this.fail(
        new ShoalError(
          'POSITION_GAP',
          `the last stage sent the token at position ${message.position}, expected was ${this.#position}`,
        ),
        peer,
      );
      return 'a gap';
    }
    const { topLogprobs } = this.#request;
    if (topLogprobs !== undefined && message.logprobs?.top.length !== topLogprobs) {
      this.fail(
        new ShoalError(
          'PROTOCOL_INVALID',
          `the last stage sent ${message.logprobs?.top.length ?? 'no'} log probabilities beside a token, ${topLogprobs} were asked for`,
        ),
        peer,
      );
      return 'no logprobs';
    }
    if (this.#isQueued) this.pipeline.prefilledAt = this.#timers.now();
    this.#leaveQueue();
    this.#position++;
    this.#tokens.push({
      id: message.token,
      finish: message.finish,
      ...(topLogprobs !== undefined && message.logprobs && { logprobs: message.logprobs }),
    });
    if (message.finish === null) this.#expectToken(TOKEN_DEADLINE_MS);
    else this.#cancelDeadline();
    this.#wake();
    return 'taken';
  }

  /** Tokens that came before stay to be read. @returns whether it had not ended before */
  fail(error: ShoalError, by: Peer | null = null, loss: Loss | null = null): boolean {
    if (this.#failure !== null || this.#isClosed) return false;
    this.#failure = error;
    this.#failedBy = by;
    this.#loss = loss;
    this.#timers.clear();
    this.#leaveQueue();
    this.#wake();
    return true;
  }

  /** The stage that reported the failure, if one did. */
  get failedBy(): Peer | null {
    return this.#failedBy;
  }

  /** Whom or what it was lost to, in the words that a client is told. */
  lossBy({ code }: ShoalError): Loss {
    if (this.#loss !== null) return this.#loss;
    if (code === 'F16_RANGE') return { worker: null, how: 'precision' };
    if (code === 'DEADLINE_EXCEEDED') return { worker: null, how: 'stalled' };
    return { worker: this.#failedBy?.name ?? null, how: 'failed' };
  }

  /** @throws what the sequence failed with, once all tokens before it were read; the signal's reason as ABORTED */
  async next(signal: AbortSignal): Promise<SequenceToken> {
    const wake = () => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      for (;;) {
        if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
        const token = this.#tokens.shift();
        if (token !== undefined) return token;
        if (this.#failure !== null) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  /** Idempotent. Frees the sequence on every stage. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timers.clear();
    this.#leaveQueue();
    if (this.pipeline.state === 'ended') return;
    this.#sendToAll({ type: 'close', epoch: this.pipeline.epoch, sequence: this.id });
  }

  #start(): void {
    this.#started = true;
    const { first, last, epoch } = this.pipeline;
    // The last stage must know the prompt before the first token is sampled; stage 0 starts after it was told.
    if (last !== first && hasPenalties(this.#request.sampling)) this.#sendPrompt(last, epoch);
    this.#sendPrompt(first, epoch);
    this.#startedAt = this.#timers.now();
    this.#isQueued = true;
    this.pipeline.queuedPositions += this.#ids.length;
    this.#expectFirstToken(MAX_SEQUENCES_PER_STAGE);
  }

  #leaveQueue(): void {
    if (!this.#isQueued) return;
    this.#isQueued = false;
    this.pipeline.queuedPositions -= this.#ids.length;
  }

  /**
   * The stages prefill all sequences by turns: the time is that of all their positions, from the last time that one of
   * them was through.
   * @param overtakings how often others may be through before it; then it is stuck, though they are not
   */
  #expectFirstToken(overtakings: number): void {
    this.#deadline(Math.max(0, this.#firstTokenDueMs()), () => {
      if (overtakings > 0 && this.#firstTokenDueMs() > 0) this.#expectFirstToken(overtakings - 1);
      else this.#missed(Math.round(this.#timers.now() - this.#startedAt));
    });
  }

  #firstTokenDueMs(): number {
    const { queuedPositions, prefilledAt } = this.pipeline;
    const since = Math.max(this.#startedAt, prefilledAt);
    return since + TOKEN_DEADLINE_MS + queuedPositions * PREFILL_MS_PER_POSITION - this.#timers.now();
  }

  #sendPrompt(peer: Peer, epoch: number): void {
    for (let position = 0; position < this.#ids.length; position += MAX_PROMPT_IDS_PER_MESSAGE) {
      const ids = this.#ids.slice(position, position + MAX_PROMPT_IDS_PER_MESSAGE);
      const last = position + ids.length === this.#ids.length;
      peer.connection.send({ type: 'prompt', epoch, sequence: this.id, position, ids, last });
    }
  }

  #expectToken(ms: number): void {
    this.#deadline(ms, () => this.#missed(ms));
  }

  #missed(ms: number): void {
    const error = new ShoalError('DEADLINE_EXCEEDED', `no token at position ${this.#position} for ${ms} ms`);
    if (this.fail(error)) this.#events.stalled(error);
  }

  #deadline(ms: number, missed: () => void): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#timers.after(ms, missed);
  }

  #sendToAll(message: ServerMessage): void {
    for (const { peer } of this.pipeline.stages) peer.connection.send(message);
  }
}
