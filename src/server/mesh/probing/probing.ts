/**
 * Sends a short sequence over what has not served yet: a route is live, and a client's sequence runs through a worker, only
 * after a token went the whole way round. Probes are no clients': they take no place and count in no metric.
 */
import { ShoalError } from '../../../config/errors.ts';
import {
  MAX_SEQUENCES_PER_STAGE,
  MIN_PATIENCE_MS,
  PREFILL_MS_PER_POSITION,
  PROBE_GAP_MS,
  PROBE_RETRY_MAX_MS,
  PROBE_RETRY_MS,
  SETTLE_AT_ONCE_WORKERS,
  SLOW_FACTOR,
  TOKEN_DEADLINE_MS,
} from '../../../config/limits.ts';
import type { PeerMessage, ToldToken } from '../../../mesh/protocol/control.ts';
import type { Timers } from '../../../mesh/timers.ts';
import { GREEDY } from '../../../model/sampling.ts';
import { PROBE_TOKENS, type ProbeAnswer } from '../../../schedule/probe.ts';
import { EarliestTimer } from '../../earliest-timer.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Peer } from '../peers/peer.ts';
import { routeOver } from '../routes/held-ways.ts';
import type { MeshRoute, RouteFailure } from '../routes/mesh-route.ts';
import type { FoundStage } from '../routes/route-search.ts';
import { Patience } from '../sequences/patience.ts';
import { PrefillQueue } from '../sequences/prefill-queue.ts';
import { Sequence } from '../sequences/sequence.ts';
import type { Verdict } from '../sequences/sequence-types.ts';
import { Strikes } from '../sequences/strikes.ts';
import type { Offence } from '../sequences/token-offence.ts';
import { judgeWorkerFailure } from '../sequences/worker-verdict.ts';
import { ProbeJudge, type ProbeJudgeOptions } from './probe-judge.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface ProbingOptions extends ProbeJudgeOptions {
  /** Whether what the peer holds may be used. */
  readonly isUsable: (peer: Peer) => boolean;
  /** What is to serve next: it is probed first. */
  readonly wanted: () => readonly Holding[];
  /** A number for a sequence, that no other has. */
  readonly nextSequence: () => number;
  readonly onProved: () => void;
  readonly onFailed: (failure: RouteFailure) => void;
  readonly timers: Timers;
}

/** Ways looked for at one time: where many are new the rest has its turn with the next change. */
const MAX_SEARCHES = 16;
/** The same in a large mesh, where changes follow each other without an end. */
const MAX_SEARCHES_OF_MANY = 4;

interface Probe {
  readonly sequence: Sequence;
  readonly path: readonly Holding[];
  readonly route: MeshRoute;
  readonly prompt: readonly number[];
  readonly tokens: number[];
  readonly compared: Compared;
  readonly cancelDeadline: () => void;
}

/** What becomes of an answer: it is measured by another one, or it is what the answer of `next` will be measured by. */
type Compared =
  | { readonly kind: 'by'; readonly reference: ProbeAnswer | null }
  | { readonly kind: 'for'; readonly next: readonly FoundStage[] };

export class Probing {
  readonly #options: ProbingOptions;
  /** By sequence number. */
  readonly #running = new Map<number, Probe>();
  readonly #judge: ProbeJudge;
  readonly #strikes = new Strikes();
  readonly #queue = new PrefillQueue();
  readonly #patience: Patience;
  /** Those whose last probe gave nothing: how often in a row, and until when they are let be. */
  readonly #resting = new WeakMap<Holding, { readonly failures: number; readonly untilMs: number }>();
  /** Those that no way led through, and until when they are not looked at. */
  readonly #unreachable = new WeakMap<Holding, number>();
  readonly #due: EarliestTimer;
  /** Not before this is there another beside a route that serves. */
  #nextMs = 0;
  #turn = 0;
  #isClosed = false;

  constructor(options: ProbingOptions) {
    this.#options = options;
    this.#patience = new Patience(this.#queue, (route) => options.routes.expectedMs(route));
    this.#judge = new ProbeJudge({
      ...options,
      isIdle: (holding) => this.#isIdle(holding),
      isProven: (holding) => this.isProven(holding),
      isNew: (holding) => this.#isNew(holding),
    });
    this.#due = new EarliestTimer(options.timers, () => this.settle());
  }

  /** Whether a token came round over it, and its worker is believed. */
  isProven(holding: Holding): boolean {
    return holding.hasServed && !this.#options.health.needsProbe(holding.peer);
  }

  /** Names of those that one is on its way round, while nothing serves. */
  get proving(): readonly string[] | null {
    const [probe] = this.#running.values();
    return probe === undefined ? null : probe.path.map(({ peer }) => peer.name);
  }

  forget(peer: Peer): void {
    this.#judge.forget(peer);
  }

  /** To be called when holdings, links, routes or peers have changed, after the routes' own. */
  settle(): void {
    if (this.#isClosed) return;
    const { routes } = this.#options;
    // What broke under it says nothing of those who are left.
    for (const probe of [...this.#running.values()]) if (!routes.ways.isUp(probe.path)) this.#end(probe);
    if (routes.live === null) {
      const path = routes.ways.candidate((holding) => this.#isFree(holding));
      if (path !== null) this.#prove(path, this.#judge.draw(), { kind: 'by', reference: null });
    } else this.#proveNewcomer();
    this.#arm();
  }

  /** @returns false where the sequence is no probe; so do the others */
  opened(peer: Peer, message: Message<'opened'>): boolean {
    const probe = this.#running.get(message.sequence);
    return probe !== undefined && this.#note(peer, message, probe.sequence.opened(peer, message));
  }

  token(peer: Peer, message: ToldToken): boolean {
    const probe = this.#running.get(message.sequence);
    if (probe === undefined) return false;
    const verdict = probe.sequence.token(peer, message);
    if (verdict === 'taken') {
      probe.tokens.push(message.token);
      const isLast = probe.tokens.length === PROBE_TOKENS;
      if (isLast) this.#came(probe);
    }
    return this.#note(peer, { type: 'token', ...message }, verdict);
  }

  sequenceFailed(peer: Peer, message: Message<'sequence-failed'>): boolean {
    const { sequence: id, epoch, error: told } = message;
    const probe = this.#running.get(id);
    if (probe === undefined) return false;
    if (epoch !== probe.sequence.epoch || !probe.path.some((holding) => holding.peer === peer)) return true;
    const { error, isBlamed, accused } = judgeWorkerFailure(told.code, probe.sequence, peer, message.peer);
    const blamed = accused === null ? peer : this.#options.routes.blameFor(peer, accused);
    this.#options.log.warn(
      { worker: peer.name, code: told.code },
      `a worker reports a failed probe: ${told.message}`,
    );
    probe.sequence.fail(error, isBlamed ? blamed : null);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#due.stop();
    for (const probe of [...this.#running.values()]) this.#end(probe);
  }

  /** Beside a route that serves, one at a time and not one after the other. */
  #proveNewcomer(): void {
    const { routes, holdings, wanted, timers } = this.#options;
    if (timers.now() < this.#nextMs || this.#running.size > 0) return;
    const next = [...new Set([...wanted(), ...holdings.all()])].filter(
      (holding) =>
        this.#isNew(holding) &&
        this.#isFree(holding) &&
        (this.#unreachable.get(holding) ?? 0) <= timers.now(),
    );
    const isLarge = holdings.all().length > SETTLE_AT_ONCE_WORKERS;
    const most = isLarge ? MAX_SEARCHES_OF_MANY : MAX_SEARCHES;
    const tries = Math.min(next.length, most);
    for (let i = 0; i < tries; i++) {
      // What is wanted first; then others' turns, where these are many.
      const holding = next[i < most / 2 ? i : (i + this.#turn++) % next.length]!;
      const path = routes.ways.through(holding, (other) => this.#isFree(other));
      const measure = path && this.#judge.measureFor(path);
      if (path === null || measure === null) {
        // Where something changes all the time, not each time all that have no way yet are looked at again.
        if (isLarge) this.#unreachable.set(holding, timers.now() + PROBE_RETRY_MS);
        continue;
      }
      this.#prove(measure, this.#judge.draw(), { kind: 'for', next: path });
      return;
    }
  }

  #prove(found: readonly FoundStage[], prompt: readonly number[], compared: Compared): void {
    const path = found.map(({ holding }) => holding);
    const route = routeOver(found);
    const { vocab, timers, log, routes, nextSequence } = this.#options;
    // Nobody is held up where nobody is served.
    if (routes.sequences > 0) this.#nextMs = timers.now() + PROBE_GAP_MS;
    const request = {
      prompt: [...prompt],
      maxTokens: PROBE_TOKENS,
      eosTokenIds: [],
      sampling: GREEDY,
    };
    const sequence = new Sequence({
      id: nextSequence(),
      request,
      ids: request.prompt,
      vocab,
      timers,
      queue: this.#queue,
      patience: this.#patience,
      events: {
        opened: () => {},
        failed: (error, by, offence) => this.#failed(probe, error, by, offence),
        unresponsive: (peers) => this.#silent(probe, peers),
        stalled: () => this.#silent(probe, []),
      },
    });
    const probe: Probe = {
      sequence,
      path,
      route,
      prompt,
      tokens: [],
      compared,
      cancelDeadline: timers.after(this.#patienceMs(path, prompt), () => this.#late(probe)),
    };
    this.#running.set(sequence.id, probe);
    log.debug({ sequence: sequence.id }, `probes ${path.map(({ peer }) => peer.name).join(', ')}`);
    // As computed: rounding on the way would make the answer depend on where the layers are cut.
    sequence.moveTo(route, 'f32');
  }

  /** Busy stages prefill others' positions first; the sequence's own deadlines bound that wait. */
  #patienceMs(path: readonly Holding[], prompt: readonly number[]): number {
    const positions = prompt.length + PROBE_TOKENS;
    const expectedMs = path.reduce((sum, { seconds }) => sum + 1_000 * seconds, 0) * positions;
    const sharing = 1 + Math.max(...path.map(({ sequences }) => sequences));
    const patienceMs = Math.min(Math.max(MIN_PATIENCE_MS, SLOW_FACTOR * expectedMs), TOKEN_DEADLINE_MS);
    return (patienceMs + positions * PREFILL_MS_PER_POSITION) * sharing;
  }

  #came(probe: Probe): void {
    const { path, route, prompt, tokens, compared } = probe;
    const answer = this.#judge.answerOf(path, tokens);
    this.#end(probe);
    this.#strikes.clear(route);
    if (compared.kind === 'by') {
      this.#rest(this.#judge.judge(path, answer, compared.reference));
      this.#options.onProved();
    } else if (this.#options.routes.ways.isUp(compared.next.map(({ holding }) => holding))) {
      this.#prove(compared.next, prompt, { kind: 'by', reference: answer });
    } else this.settle();
  }

  #failed(probe: Probe, error: ShoalError, by: Peer | null, offence: Offence | null): void {
    const { compared } = probe;
    const next = compared.kind === 'for' ? compared.next.map(({ holding }) => holding) : [];
    this.#rest([...probe.path, ...next].filter((holding) => this.#isNew(holding)));
    this.#end(probe);
    this.#options.log.warn({ worker: by?.name }, `a probe failed: ${error}`);
    // Once may be chance, but for what no working worker does.
    if (by !== null && (offence?.how !== undefined || this.#strikes.reported(by))) {
      const how = offence?.how;
      this.#options.onFailed({ kind: 'reported', peer: by, error, ...(how && { how }) });
    }
    this.#arm();
  }

  #late(probe: Probe): void {
    const silent = probe.path.map(({ peer }) => peer).filter((peer) => !probe.sequence.hasOpened(peer));
    const error = new ShoalError('DEADLINE_EXCEEDED', 'no token of a probe came in time');
    if (probe.sequence.fail(error)) this.#silent(probe, silent);
  }

  /** Once may be chance. @param unopened those who did not even open it */
  #silent({ route }: Probe, unopened: readonly Peer[]): void {
    const { onFailed } = this.#options;
    const error = new ShoalError('DEADLINE_EXCEEDED', 'no token of a probe came in time');
    if (unopened.length > 0) {
      const peers = unopened.filter((peer) => this.#strikes.reported(peer));
      if (peers.length > 0) onFailed({ kind: 'unresponsive', peers, error });
      return;
    }
    if (this.#strikes.silent(route)) onFailed({ kind: 'stalled', route, error });
  }

  #end(probe: Probe): void {
    if (!this.#running.delete(probe.sequence.id)) return;
    probe.cancelDeadline();
    probe.sequence.close();
  }

  /** It has something to prove. */
  #isNew(holding: Holding): boolean {
    const { health, isUsable } = this.#options;
    if (!holding.isHeld || holding.isRetiring || !isUsable(holding.peer)) return false;
    return !this.isProven(holding) || health.isDoubted(holding.peer);
  }

  /** It may be probed: it is idle, and not let be. */
  #isFree(holding: Holding): boolean {
    return this.#isIdle(holding) && (this.#resting.get(holding)?.untilMs ?? 0) <= this.#options.timers.now();
  }

  /** It computes no other probe, and has room. */
  #isIdle(holding: Holding): boolean {
    for (const { path } of this.#running.values())
      if (path.some(({ peer }) => peer === holding.peer)) return false;
    return holding.sequences < MAX_SEQUENCES_PER_STAGE - 1;
  }

  #rest(holdings: readonly Holding[]): void {
    for (const holding of holdings) {
      const failures = (this.#resting.get(holding)?.failures ?? 0) + 1;
      const waitMs = Math.min(PROBE_RETRY_MS * 2 ** (failures - 1), PROBE_RETRY_MAX_MS);
      this.#resting.set(holding, { failures, untilMs: this.#options.timers.now() + waitMs });
    }
  }

  /** Looks again when somebody who is let be, or who waits for the next turn, may be probed. */
  #arm(): void {
    const { holdings, timers, routes } = this.#options;
    if (this.#isClosed || this.#running.size > 0) return;
    const now = timers.now();
    const notBefore = routes.live === null ? now : Math.max(now, this.#nextMs);
    let next = Number.POSITIVE_INFINITY;
    for (const holding of holdings.all()) {
      if (!this.#isNew(holding)) continue;
      const untilMs = Math.max(this.#resting.get(holding)?.untilMs ?? 0, this.#unreachable.get(holding) ?? 0);
      // With nothing to wait for it is another's change that makes a way through it.
      if (untilMs > now || notBefore > now) next = Math.min(next, Math.max(notBefore, untilMs));
    }
    if (Number.isFinite(next)) this.#due.within(next - now);
  }

  #note(
    peer: Peer,
    { type, sequence, epoch }: Pick<Message<'opened' | 'token'>, 'type' | 'sequence' | 'epoch'>,
    verdict: Verdict,
  ): true {
    if (verdict !== 'taken') {
      this.#options.log.debug({ worker: peer.name, type, sequence, epoch }, `refused of a probe: ${verdict}`);
    }
    return true;
  }
}
