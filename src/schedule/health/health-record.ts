/** What is known of one worker: its failures, what it has served, and until when it is kept out. Pure: time is passed in. */
import {
  FAILURE_MEMORY_MS,
  SERVED_HALF_LIFE_MS,
  SUSPICION_MS,
  TRUSTED_TOKENS,
  WORKER_BACKOFF_MAX_MS,
  WORKER_BACKOFF_MIN_MS,
} from '../../config/limits.ts';
import { BelievedSpeed } from './believed-speed.ts';
import type { TrustState } from './health-events.ts';

/**
 * What ends the doubling: for `loading` a load, for `serving` a token, for `conduct` only time: who blames its neighbours
 * or makes up tokens may serve well besides.
 */
export type FailureKind = 'loading' | 'serving' | 'conduct';

/** A token that came quickly clears of a stall; of bad links, of being slow, of other tokens than others' and of another's failures, or of losing what runs there, nothing but time, or proof, does. */
export type SuspicionKind = 'stall' | 'slow' | 'link' | 'address' | 'probe' | 'accused' | 'losing';

export class HealthRecord {
  readonly peer: string;
  readonly address: string | null;
  isPresent = true;
  /** Routes with it that stalled, since it last served. */
  stalls = 0;
  /** Links of it that failed, by its word or another's. */
  linkIncidents = 0;
  /** Wait beyond what its routes should have taken, since one of them was quick. */
  excessMs = 0;
  reason: string | null = null;
  readonly speed = new BelievedSpeed();
  #isProven = false;
  #isVouched = false;
  /** It has to be probed again before it is believed, whatever it serves. */
  #isDoubted = false;
  #tokens = 0;
  #served = 0;
  #servedAtMs = 0;
  #failedAtMs = 0;
  readonly #failures = new Map<FailureKind, number>();
  readonly #excludedUntilMs = new Map<FailureKind, number>();
  readonly #suspectedUntilMs = new Map<SuspicionKind, number>();

  constructor(peer: string, address: string | null) {
    this.peer = peer;
    this.address = address;
  }

  get isNewcomer(): boolean {
    return !this.#isProven && (this.#isDoubted || this.#tokens < TRUSTED_TOKENS);
  }

  /** It has served clients, and not only probes. */
  get hasServedClients(): boolean {
    return !this.#isDoubted && this.#tokens >= TRUSTED_TOKENS;
  }

  /** What it computes counts against what others do. */
  get isWitness(): boolean {
    return !this.#isDoubted && (this.#isVouched || this.#tokens >= TRUSTED_TOKENS);
  }

  /** For that. */
  isSuspected(kind: SuspicionKind, nowMs: number): boolean {
    return (this.#suspectedUntilMs.get(kind) ?? 0) > nowMs;
  }

  isDoubted(nowMs: number): boolean {
    return this.#isDoubted && this.isSuspected('probe', nowMs);
  }

  /** Tokens, of which those of long ago count less. */
  served(nowMs: number): number {
    return this.#served * 2 ** -((nowMs - this.#servedAtMs) / SERVED_HALF_LIFE_MS);
  }

  /** Those that the doubling counts. */
  failures(nowMs: number): number {
    if (nowMs - this.#failedAtMs > FAILURE_MEMORY_MS) this.#failures.clear();
    return [...this.#failures.values()].reduce((sum, count) => sum + count, 0);
  }

  state(nowMs: number): TrustState {
    if (latest(this.#excludedUntilMs) > nowMs) return 'excluded';
    if (latest(this.#suspectedUntilMs) > nowMs) return 'suspected';
    return this.isNewcomer ? 'newcomer' : 'trusted';
  }

  /** Whether what it holds may be used: that it could not load says nothing against it. */
  mayBeUsed(nowMs: number): boolean {
    return [...this.#excludedUntilMs].every(([kind, untilMs]) => kind === 'loading' || untilMs <= nowMs);
  }

  /** The first moment at which `state` changes by itself; null: none. */
  nextChangeMs(nowMs: number): number | null {
    const untilMs = [...this.#excludedUntilMs.values(), ...this.#suspectedUntilMs.values()];
    const next = Math.min(...untilMs.filter((atMs) => atMs > nowMs));
    return Number.isFinite(next) ? next : null;
  }

  /** When the present state ends by itself; null: it does not. */
  untilMs(nowMs: number): number | null {
    const untilMs = latest(this.state(nowMs) === 'excluded' ? this.#excludedUntilMs : this.#suspectedUntilMs);
    return untilMs > nowMs ? untilMs : null;
  }

  /** Keeps it out for a while that doubles with every failure. @returns until when */
  exclude(kind: FailureKind, nowMs: number, reason: string, leastMs = WORKER_BACKOFF_MIN_MS): number {
    const backoffMs = Math.min(leastMs * 2 ** this.failures(nowMs), WORKER_BACKOFF_MAX_MS);
    const untilMs = Math.max(this.#excludedUntilMs.get(kind) ?? 0, nowMs + backoffMs);
    this.#failures.set(kind, (this.#failures.get(kind) ?? 0) + 1);
    this.#failedAtMs = nowMs;
    this.#excludedUntilMs.set(kind, untilMs);
    this.reason = reason;
    return latest(this.#excludedUntilMs);
  }

  /** @returns until when */
  suspect(kind: SuspicionKind, nowMs: number, reason: string, untilMs = nowMs + SUSPICION_MS): number {
    this.#suspectedUntilMs.set(kind, Math.max(this.#suspectedUntilMs.get(kind) ?? 0, untilMs));
    this.reason = reason;
    return latest(this.#suspectedUntilMs);
  }

  /** It comes from where another has failed: the doubling goes on from there. */
  inherit(failures: number, nowMs: number): void {
    this.#failures.set('conduct', failures);
    this.#failedAtMs = nowMs;
  }

  hasLoaded(): void {
    this.#failures.delete('loading');
    this.#excludedUntilMs.delete('loading');
  }

  /** A token came round a route with it, no later than it should. */
  hasServed(nowMs: number): void {
    this.#served = this.served(nowMs) + 1;
    this.#servedAtMs = nowMs;
    this.#tokens++;
    this.#failures.delete('serving');
    this.#suspectedUntilMs.delete('stall');
    this.stalls = 0;
    this.excessMs = 0;
    if (this.#tokens >= TRUSTED_TOKENS) this.#suspectedUntilMs.delete('address');
  }

  prove(isVouched: boolean): void {
    this.#isProven = true;
    this.#isVouched ||= isVouched;
    this.#isDoubted = false;
    this.#suspectedUntilMs.delete('address');
    this.#suspectedUntilMs.delete('probe');
  }

  /** Until it has proved itself; for a while it may serve where nobody else can. */
  doubt(nowMs: number, reason: string): void {
    this.disprove();
    this.#isDoubted = true;
    this.suspect('probe', nowMs, reason);
  }

  /** What it had proved counts no more. */
  disprove(): void {
    this.#isProven = false;
    this.#isVouched = false;
    this.#tokens = 0;
    this.#served = 0;
  }
}

const latest = (untilMs: ReadonlyMap<unknown, number>): number => Math.max(0, ...untilMs.values());
