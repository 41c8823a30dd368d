/** One node of a pool as the router sees it: its requests, its health, its speed and its models. */
import {
  MAX_NODE_ERROR_CHARS,
  MAX_STATUS_MODELS,
  NODE_BUSY_MAX_MS,
  RETRY_AFTER_SECONDS,
} from '../../config/limits.ts';
import { measured, type NodeSpeed, type RouteCandidate } from '../../schedule/backends/choose-node.ts';
import { CircuitBreaker } from '../../schedule/backends/circuit-breaker.ts';
import type { AnswerReport, ModelInfo, Readiness } from '../backend.ts';
import type { Clock } from '../clock.ts';
import type { NodeStatus, PoolNode } from './node-pool.ts';
import { plainModels } from './plain-models.ts';
import { Remembered } from './remembered.ts';
import type { RouteFailure } from './route-failure.ts';

/** One request on its node. It holds its place until `answered`, `failed` or `aborted`, whichever is first. */
export interface RoutedAttempt {
  /** The response is there, and not yet its end. */
  answering(): void;
  answered(report: AnswerReport): void;
  failed(failure: RouteFailure): void;
  /** The client hung up. */
  aborted(): void;
}

export class PooledNode {
  readonly node: PoolNode;
  readonly models: Remembered<readonly ModelInfo[]>;
  readonly readiness: Remembered<Readiness>;
  /** A count of the pool's choices, for turns among equals. */
  lastChosen = 0;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #breaker = new CircuitBreaker();
  readonly #onEnded: () => void;
  #inFlight = 0;
  #speed: NodeSpeed | null = null;
  /** It named a time, and gets nothing before. */
  #refusesUntilMs = Number.NEGATIVE_INFINITY;
  /** It named none, and gets nothing while others have room. */
  #strainedUntilMs = Number.NEGATIVE_INFINITY;
  #lastError: string | null = null;
  /** Of its last failure: `RouteFailure.isTold`. */
  #toldFailure = false;

  /** @param onEnded called after each request's end */
  constructor(node: PoolNode, clock: Clock, random: () => number, onEnded: () => void) {
    this.node = node;
    this.#clock = clock;
    this.#random = random;
    this.#onEnded = onEnded;
    this.models = new Remembered(async (signal) => plainModels(await node.backend.models(signal)), clock);
    this.readiness = new Remembered((signal) => node.backend.readiness(signal), clock);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Why its last request failed, or why it is not ready. */
  get lastError(): string | null {
    const { value } = this.readiness;
    return this.#lastError ?? (value?.ready === false ? value.detail : null);
  }

  /** Its circuit breaker lets no request through. */
  get isFailing(): boolean {
    return !this.#breaker.admits(this.#clock.now());
  }

  get isOpen(): boolean {
    return this.#breaker.state(this.#clock.now()) === 'open';
  }

  get isFull(): boolean {
    return this.#inFlight >= this.node.maxConcurrent || this.#clock.now() < this.#refusesUntilMs;
  }

  /** Whether it may be given a request now. */
  get admits(): boolean {
    return !this.isFull && this.#breaker.admits(this.#clock.now());
  }

  /**
   * Its breaker is open, but the node says that it is ready, and told its last failure itself. One client's request that
   * it fails at must not shut out all others where no other node is left.
   */
  get isLastResort(): boolean {
    return this.isFailing && !this.isFull && this.#toldFailure && this.readiness.value?.ready === true;
  }

  /** Milliseconds until it may be, as far as that is known; 0 while only its requests in flight are in the way. */
  get waitMs(): number {
    const now = this.#clock.now();
    return Math.max(this.#breaker.waitMs(now), this.#refusesUntilMs - now, 0);
  }

  /** Undefined until its list came for the first time. */
  lists(model: string): boolean | undefined {
    // Ollama lists `name:latest` and answers to `name`.
    return this.models.value?.some(({ id }) => id === model || id === `${model}:latest`);
  }

  candidate(): RouteCandidate {
    const now = this.#clock.now();
    const isUnready = this.node.isReady ? !this.node.isReady() : this.readiness.value?.ready === false;
    const isStrained = now < this.#strainedUntilMs;
    const isUnlisted = !this.node.anyModel && this.models.value === null;
    return {
      inFlight: this.#inFlight,
      maxConcurrent: this.node.maxConcurrent,
      speed: this.#speed,
      failureShare: this.#breaker.failureShare(now),
      tier: (isUnready ? 4 : 0) + (isStrained ? 2 : 0) + (isUnlisted ? 1 : 0),
      lastChosen: this.lastChosen,
    };
  }

  /** Takes a place. Call only where `admits` or `isLastResort`. */
  begin(): RoutedAttempt {
    const admission = this.#breaker.admit(this.#clock.now());
    this.#inFlight++;
    let ended = false;
    const end = (verdict: () => void) => {
      if (ended) return;
      ended = true;
      this.#inFlight--;
      verdict();
      this.#onEnded();
    };
    const failed = (message: string, isTold = false) => {
      this.#lastError = message;
      this.#toldFailure = isTold;
      this.readiness.expire();
      admission.failed(this.#clock.now(), this.#random());
    };
    const succeeded = () => {
      this.#lastError = null;
      admission.succeeded(this.#clock.now());
    };
    return {
      answering: () => {
        admission.answering();
        if (this.readiness.value?.ready === false) this.readiness.expire();
      },
      answered: (report) =>
        end(() => {
          if (report.hadNoRoom) return admission.released();
          if (report.outcome === 'error') return failed('an answer broke off');
          if (report.outcome === 'aborted') return admission.released();
          this.#speed = measured(this.#speed, report, this.#clock.now());
          succeeded();
        }),
      failed: ({ verdict, message, retryAfterSeconds, lacksModel, isTold }) =>
        end(() => {
          if (lacksModel) this.models.expire();
          if (verdict === 'failed') return failed(message, isTold);
          if (verdict === 'answered') return succeeded();
          if (verdict === 'unready' && !this.node.isReady) return failed(message);
          // A time that it names is that client's, too.
          if (verdict === 'busy') this.#becameBusy(this.node.takesTurns ? null : retryAfterSeconds);
          admission.released();
        }),
      aborted: () => end(() => admission.released()),
    };
  }

  /** Whether it is worth asking in the background: nothing is known, it is not well, or its last request failed. */
  get needsProbe(): boolean {
    const known = this.readiness.value?.ready === true && !this.readiness.isExpired;
    return !known || this.isOpen;
  }

  /**
   * Asks whether it is ready. A node that was not and now is need not wait for its back-off; one that was ready all the
   * while and failed its requests must.
   */
  async probe(): Promise<void> {
    const wasReady = this.readiness.value?.ready;
    await this.readiness.refresh();
    const { value, error } = this.readiness;
    if (error !== null) this.readiness.set({ ready: false, detail: error.message });
    if (wasReady === false && error === null && value?.ready === true) this.#breaker.recovered();
  }

  status(): NodeStatus {
    const { id, name, backend, maxConcurrent, lender } = this.node;
    return {
      id,
      name,
      provider: backend.provider,
      state: this.#state(),
      inFlight: this.#inFlight,
      maxConcurrent,
      models: (this.models.value ?? []).slice(0, MAX_STATUS_MODELS).map((model) => model.id),
      timeToFirstTokenMs: this.#speed?.timeToFirstTokenMs ?? null,
      tokensPerSecond: this.#speed?.tokensPerSecond ?? null,
      lastError: this.lastError?.slice(0, MAX_NODE_ERROR_CHARS) ?? null,
      ...(lender && { lender }),
    };
  }

  #state(): NodeStatus['state'] {
    const now = this.#clock.now();
    const breaker = this.#breaker.state(now);
    const ready = this.node.isReady?.() ?? this.readiness.value?.ready;
    if (breaker === 'open' || ready === false) return 'failing';
    if (breaker === 'half-open') return 'probing';
    if (this.isFull || now < this.#strainedUntilMs) return 'busy';
    if (ready) return 'ready';
    return this.readiness.isAsking ? 'probing' : 'unknown';
  }

  #becameBusy(retryAfterSeconds: number | null): void {
    const now = this.#clock.now();
    const waitMs = Math.min((retryAfterSeconds ?? RETRY_AFTER_SECONDS) * 1000, NODE_BUSY_MAX_MS);
    this.#strainedUntilMs = now + waitMs;
    if (retryAfterSeconds !== null) this.#refusesUntilMs = now + waitMs;
  }
}
