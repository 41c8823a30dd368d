/**
 * Whom to give layers and sequences: events in, verdicts out. Pure: time is passed in, in milliseconds of any one clock.
 *
 * A worker is a stranger. What it says of itself or of others is weighed by what came of it: tokens that went the whole way round,
 * a probe that gave the right one. Ids cost nothing, so a newcomer answers for the last failure of its address.
 */
import {
  MAX_REMEMBERED_WORKERS,
  MISBEHAVED_BACKOFF_MS,
  SLOW_EXCESS_MS,
  SLOW_FACTOR,
} from '../../config/limits.ts';
import { Accusations, hasServedLess } from './accusations.ts';
import { excessOf } from './believed-speed.ts';
import { FailedAddresses } from './failed-addresses.ts';
import type { HealthEvent, MayHold, MayServe, Misbehaviour, Trust, Verdict } from './health-events.ts';
import { type FailureKind, HealthRecord, type SuspicionKind } from './health-record.ts';
import { LinkReports, type Standing } from './link-reports.ts';
import { SignsOfLife } from './signs-of-life.ts';
import { stallSuspects } from './stall-suspects.ts';

type Served = Extract<HealthEvent, { kind: 'served' }>;

const MISDEEDS: Record<Misbehaviour, string> = {
  'token-out-of-vocabulary': 'sent a token that the vocabulary does not have',
  'wrong-token': 'computed another token than others do',
  'non-finite': 'sent values that are no numbers',
  'broken-protocol': 'broke the protocol',
  flood: 'sent more than it may',
};

const MISDEED_OF_LINK = 'sends what its neighbour refuses, or refuses what its neighbour sends';

export class WorkerHealth {
  /** Of workers that are there, and of those that may return as themselves. */
  readonly #records = new Map<string, HealthRecord>();
  /** Of them, who is gone, in the order of going. */
  readonly #absent = new Set<string>();
  readonly #signs = new SignsOfLife();
  readonly #links = new LinkReports();
  readonly #accusations = new Accusations();
  readonly #addresses = new FailedAddresses();
  /** Whose state will change by itself. */
  readonly #restricted = new Set<HealthRecord>();

  /** @returns who is kept out for it */
  note(event: HealthEvent, nowMs: number): readonly Verdict[] {
    switch (event.kind) {
      case 'joined':
        this.#joined(event.peer, event.address, nowMs);
        return [];
      case 'gone':
        this.#gone(event.peer);
        return [];
      case 'heard':
        if (this.#present(event.peer)) this.#signs.heard(event.peer, nowMs);
        return [];
      case 'paced':
        this.#signs.paced(event.peer, event.pace);
        return [];
      case 'loaded':
        this.#records.get(event.peer)?.hasLoaded();
        return [];
      case 'load-failed': {
        const reason = event.isTooSlow ? 'loads too slowly' : 'could not load its layers';
        return this.#exclude([event.peer], 'loading', reason, nowMs);
      }
      case 'link-reported':
        return this.#linkReported(event.by, event.about, nowMs);
      case 'not-opened':
        return this.#exclude(event.peers, 'serving', 'did not answer', nowMs);
      case 'failed':
        return this.#exclude([event.peer], 'serving', 'failed', nowMs);
      case 'accused':
        return this.#accused(event.by, event.about, event.how, nowMs);
      case 'misbehaved':
        this.#records.get(event.peer)?.disprove();
        return this.#exclude([event.peer], 'conduct', MISDEEDS[event.how], nowMs, MISBEHAVED_BACKOFF_MS);
      case 'losing':
        return this.#losing(event.peer, nowMs);
      case 'stalled':
        return this.#stalled(event.peers, 'stall', 'no token came', nowMs);
      case 'served':
        return this.#served(event, nowMs);
      case 'proved':
        this.#proved(event.peer, event.isVouched);
        return [];
      case 'doubted':
        this.#doubted(event.peer, nowMs);
        return [];
    }
  }

  mayHold(peer: string, nowMs: number): MayHold {
    const record = this.#present(peer);
    if (record === undefined || this.#signs.isSilent(peer, nowMs)) return 'no';
    const answers = { trusted: 'yes', newcomer: 'replica', suspected: 'if-needed', excluded: 'no' } as const;
    return answers[record.state(nowMs)];
  }

  /** One that is silent may serve where nobody else can: its neighbours may hear it. */
  mayServe(peer: string, nowMs: number): MayServe {
    const record = this.#present(peer);
    if (!record?.mayBeUsed(nowMs)) return 'no';
    if (record.isDoubted(nowMs)) return 'if-needed';
    if (record.isNewcomer) return 'after-probe';
    const isDoubtful = record.state(nowMs) === 'suspected' || this.#signs.isSilent(peer, nowMs);
    return isDoubtful ? 'if-needed' : 'yes';
  }

  /** It computed other tokens than others do, the last time that it was asked, and has not been out for it. */
  isDoubted(peer: string, nowMs: number): boolean {
    return this.#present(peer)?.isDoubted(nowMs) === true;
  }

  /** It has served clients: one probe is not that. */
  hasServedClients(peer: string): boolean {
    return this.#records.get(peer)?.hasServedClients === true;
  }

  /** Whether what it computes counts against what others do: it has served, or another has computed the same. */
  isWitness(peer: string): boolean {
    return this.#records.get(peer)?.isWitness === true;
  }

  /** Null for who is no worker. */
  trustOf(peer: string, nowMs: number): Trust | null {
    const record = this.#present(peer);
    if (record === undefined) return null;
    const state = record.state(nowMs);
    const isBad = state === 'suspected' || state === 'excluded';
    return {
      state,
      untilMs: record.untilMs(nowMs),
      reason: isBad ? record.reason : null,
      isSilent: this.#signs.isSilent(peer, nowMs),
    };
  }

  /** Whether both may be neighbours of a route: their link has not failed lately. */
  mayLink(a: string, b: string, nowMs: number): boolean {
    return this.#links.mayLink(a, b, nowMs);
  }

  /** Whether the word of `by` counts against `about`: not where a newcomer accuses one that has served more, or anybody one that has served far more. */
  isCredible(by: string, about: string, nowMs: number): boolean {
    const [from, to] = [this.#records.get(by), this.#records.get(about)];
    if (from === undefined || to === undefined) return false;
    const [mine, its] = [from.served(nowMs), to.served(nowMs)];
    return !hasServedLess({ served: mine }, { served: its }) && (!from.isNewcomer || its <= mine);
  }

  /** Of the speed that a worker says it has, the part to count on, in (0, 1]; null before it has served. */
  believedShare(peer: string): number | null {
    return this.#records.get(peer)?.speed.share ?? null;
  }

  /** When `mayHold`, `mayServe` or `trustOf` will answer otherwise of themselves; null: never. */
  nextChangeMs(nowMs: number): number | null {
    const [silent, release] = [this.#signs.nextSilentMs(nowMs), this.nextReleaseMs(nowMs)];
    return silent === null || release === null ? (silent ?? release) : Math.min(silent, release);
  }

  /** When somebody will be kept out, or suspected, no longer; null: nobody is. */
  nextReleaseMs(nowMs: number): number | null {
    let next: number | null = null;
    for (const record of this.#restricted) {
      const atMs = record.nextChangeMs(nowMs);
      if (atMs === null) this.#restricted.delete(record);
      else next = Math.min(next ?? atMs, atMs);
    }
    return next;
  }

  #joined(peer: string, address: string | null, nowMs: number): void {
    const known = this.#records.get(peer);
    this.#absent.delete(peer);
    const record = known ?? new HealthRecord(peer, address);
    record.isPresent = true;
    this.#records.set(peer, record);
    this.#signs.heard(peer, nowMs);
    const failed = known === undefined ? this.#addresses.of(address, nowMs) : null;
    if (failed === null) return;
    record.inherit(failed.failures, nowMs);
    if (failed.untilMs <= nowMs) return;
    record.suspect('address', nowMs, `another worker at its address ${failed.reason}`, failed.untilMs);
    this.#restricted.add(record);
  }

  #gone(peer: string): void {
    const record = this.#present(peer);
    if (record === undefined) return;
    record.isPresent = false;
    this.#signs.forget(peer);
    this.#links.forget(peer);
    this.#accusations.forget(peer);
    this.#absent.add(peer);
    if (this.#absent.size <= MAX_REMEMBERED_WORKERS) return;
    const [oldest] = this.#absent;
    if (oldest === undefined) return;
    this.#absent.delete(oldest);
    this.#records.delete(oldest);
  }

  #doubted(peer: string, nowMs: number): void {
    const record = this.#records.get(peer);
    if (record === undefined) return;
    record.doubt(nowMs, 'computed other tokens than another does');
    this.#restricted.add(record);
  }

  #proved(peer: string, isVouched: boolean): void {
    const record = this.#records.get(peer);
    record?.prove(isVouched);
    if (record !== undefined) this.#addresses.clear(record.address, peer);
  }

  #linkReported(by: string, about: string, nowMs: number): readonly Verdict[] {
    const [from, to] = [this.#present(by), this.#present(about)];
    if (from === undefined || to === undefined) return [];
    const judgement = this.#links.note(this.#standing(from, nowMs), this.#standing(to, nowMs), nowMs);
    if (judgement === null) return [];
    from.linkIncidents++;
    to.linkIncidents++;
    const moved = judgement.moved === by ? from : to;
    const reason = judgement.isSure ? 'cannot be reached by others' : 'is the end of a link that failed';
    // The first one-sided word may be chance, or the network's: then a token forgives it.
    const isConduct = judgement.isSure || moved.linkIncidents > 1;
    this.#suspect([moved.peer], 'link', reason, nowMs);
    return this.#exclude([moved.peer], isConduct ? 'conduct' : 'serving', reason, nowMs);
  }

  #accused(by: string, about: string, how: Misbehaviour | null, nowMs: number): readonly Verdict[] {
    const [from, to] = [this.#present(by), this.#present(about)];
    if (from === undefined || to === undefined) return [];
    const verdict = this.#accusations.judge(this.#standing(from, nowMs), this.#standing(to, nowMs), nowMs);
    this.#suspect(verdict.suspected, 'accused', 'or its neighbour sends what is refused', nowMs);
    for (const peer of verdict.suspected) this.#restricted.add(this.#records.get(peer)!);
    if (verdict.out === null) return [];
    if (verdict.out === about && how !== null)
      return this.note({ kind: 'misbehaved', peer: about, how }, nowMs);
    return this.#exclude([verdict.out], 'conduct', MISDEED_OF_LINK, nowMs);
  }

  /** An honest tab in a bad network may: it serves where nobody else can. One that goes on with it does not. */
  #losing(peer: string, nowMs: number): readonly Verdict[] {
    const record = this.#records.get(peer);
    if (record === undefined) return [];
    const isAgain = record.isSuspected('losing', nowMs);
    const reason = 'loses what runs on it again and again';
    this.#suspect([peer], 'losing', reason, nowMs);
    this.#restricted.add(record);
    return isAgain ? this.#exclude([peer], 'conduct', reason, nowMs) : [];
  }

  #stalled(
    peers: readonly string[],
    kind: 'stall' | 'slow',
    reason: string,
    nowMs: number,
  ): readonly Verdict[] {
    const records = peers.flatMap((peer) => this.#present(peer) ?? []);
    if (records.length === 0) return [];
    for (const record of records) {
      record.stalls++;
      record.excessMs = 0;
    }
    const suspects = stallSuspects(
      records.map((record) => ({
        peer: record.peer,
        isNewcomer: record.isNewcomer,
        isSilent: this.#signs.isSilent(record.peer, nowMs),
        stalls: record.stalls,
        served: record.served(nowMs),
      })),
    );
    this.#suspect(suspects, kind, reason, nowMs);
    return this.#exclude(suspects, 'serving', reason, nowMs);
  }

  #served({ stages, elapsedMs, sharing }: Served, nowMs: number): readonly Verdict[] {
    const records = stages.flatMap(({ peer }) => this.#present(peer) ?? []);
    const expectedMs = stages.reduce((sum, stage) => sum + stage.expectedMs, 0) * Math.max(1, sharing);
    for (const { speed } of records) speed.note(elapsedMs, expectedMs);
    const excessMs = excessOf(elapsedMs, expectedMs);
    if (excessMs === 0) {
      for (const record of records) {
        record.hasServed(nowMs);
        if (!record.isNewcomer) this.#addresses.clear(record.address, record.peer);
      }
      return [];
    }
    for (const record of records) record.excessMs += excessMs;
    // Who was quick on another route since then has no excess of its own.
    const slow = records.filter((record) => record.excessMs >= SLOW_EXCESS_MS);
    if (slow.length === 0) return [];
    const peers = slow.map(({ peer }) => peer);
    return this.#stalled(peers, 'slow', `takes more than ${SLOW_FACTOR} times as long as it says`, nowMs);
  }

  #exclude(
    peers: readonly string[],
    kind: FailureKind,
    reason: string,
    nowMs: number,
    leastMs?: number,
  ): readonly Verdict[] {
    return peers.flatMap((peer) => {
      const record = this.#records.get(peer);
      if (record === undefined) return [];
      const untilMs = record.exclude(kind, nowMs, reason, leastMs);
      this.#restricted.add(record);
      const failures = record.failures(nowMs);
      this.#addresses.note(record.address, { peer, untilMs, failures, reason });
      return { peer, untilMs, reason };
    });
  }

  #suspect(peers: readonly string[], kind: SuspicionKind, reason: string, nowMs: number): void {
    for (const peer of peers) this.#records.get(peer)?.suspect(kind, nowMs, reason);
  }

  #standing(record: HealthRecord, nowMs: number): Standing {
    return {
      peer: record.peer,
      address: record.address,
      isNewcomer: record.isNewcomer,
      isExcluded: record.state(nowMs) === 'excluded',
      isSilent: this.#signs.isSilent(record.peer, nowMs),
      served: record.served(nowMs),
      incidents: record.linkIncidents,
    };
  }

  #present(peer: string): HealthRecord | undefined {
    const record = this.#records.get(peer);
    return record?.isPresent ? record : undefined;
  }
}
