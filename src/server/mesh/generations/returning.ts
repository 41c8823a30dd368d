import { ShoalError } from '../../../config/errors.ts';
import {
  ADOPT_REST_MS,
  ADOPT_WAIT_MS,
  MAX_LINKS,
  MAX_RUNNING_SEQUENCES,
  MAX_TOLD_EPOCH,
} from '../../../config/limits.ts';
import type { PeerMessage, RunningSequence } from '../../../mesh/protocol/control.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { Peer } from '../peers/peer.ts';
import { type MeshRoute, type RouteStop, type Routes, stopOf } from '../routes/mesh-route.ts';
import type { Generation } from './generation.ts';

type Running = Extract<PeerMessage, { type: 'running' }>;

/** What is told of a sequence that the server expects back, by each peer that is back. */
interface Expected {
  readonly told: Map<Peer, RunningSequence>;
  /** Links that ended while the server was away, `reporter other`: frames may be missing behind them. */
  readonly broken: Set<string>;
  /** It was waited for long enough: whoever comes now finds it on another route. */
  isLate: boolean;
}

export interface ReturningOptions {
  readonly generations: ReadonlyMap<number, Generation>;
  readonly timers: Timers;
  readonly routes: Pick<Routes, 'isHeld' | 'isHeard'>;
  /** A worker is back without something that ran on it. */
  readonly onLost: (peer: Peer) => void;
}

/**
 * Workers that are back say what they run. What the server knows of it goes on: as it is, where nothing can have been lost meanwhile;
 * otherwise by the same route under a new epoch, for which the stages have kept nearly everything. After a restart of the server a
 * sequence goes on once all its stages are back, and without those that are not when it is known that they do not come: their
 * neighbours hear nothing of them, or they are back without it, or ADOPT_REST_MS have passed since the first worker came.
 *
 * A worker's word for an epoch counts only where the server cannot know better, which is of a sequence that began before it was started.
 */
export class Returning {
  readonly #options: ReturningOptions;
  readonly #expected = new Map<number, Expected>();
  /** What peers have told in messages before their last. */
  readonly #partial = new WeakMap<Peer, RunningSequence[]>();
  /** Who has joined and not told all that it runs. */
  readonly #asked = new WeakSet<Peer>();
  /** Ids of those that have told all that they run, while a sequence waits for its stages. */
  readonly #reported = new Set<string>();
  #isAnyoneBack = false;

  constructor(options: ReturningOptions) {
    this.#options = options;
  }

  /** The sequence began before the server was started again: its stages may be back soon. */
  expect(generation: Generation): void {
    const { id } = generation.sequence;
    const expected: Expected = { told: new Map(), broken: new Set(), isLate: false };
    this.#expected.set(id, expected);
    generation.whenClosed(() => this.#expected.delete(id));
    this.#giveUpAfter(id, this.#isAnyoneBack ? ADOPT_REST_MS : ADOPT_WAIT_MS);
  }

  /** To be called when workers hear others, or do so no longer: what cannot become whole is not waited for. */
  review(): void {
    for (const [id, expected] of this.#expected) {
      if (!expected.isLate && this.#isHopeless(expected)) this.#giveUp(id, expected);
    }
  }

  /** The peer joins: it tells anew what it runs. */
  joined(peer: Peer): void {
    this.#partial.delete(peer);
    this.#asked.add(peer);
  }

  /** A worker that is back says that its link to another, who may not be back yet, has ended. */
  linkEnded(reporter: Peer, other: string): void {
    for (const { told, broken } of this.#expected.values()) {
      if (told.has(reporter) && broken.size < MAX_LINKS * told.size) broken.add(`${reporter.id} ${other}`);
    }
  }

  /** @throws PROTOCOL_INVALID above MAX_RUNNING_SEQUENCES, and where the peer has told all since it joined */
  reported(peer: Peer, { sequences, last }: Running): void {
    if (!this.#asked.has(peer)) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        'what runs was told since it joined; a list of it follows a join, and ends with last: true',
      );
    }
    const all = [...(this.#partial.get(peer) ?? []), ...sequences];
    this.#partial.delete(peer);
    if (all.length > MAX_RUNNING_SEQUENCES) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `${all.length} sequences run there, at most ${MAX_RUNNING_SEQUENCES} can; end the list with last: true`,
      );
    }
    if (!last) {
      this.#partial.set(peer, all);
      return;
    }
    this.#asked.delete(peer);
    if (!this.#isAnyoneBack) for (const id of this.#expected.keys()) this.#giveUpAfter(id, ADOPT_REST_MS);
    this.#isAnyoneBack = true;
    if (this.#isWaiting) this.#reported.add(peer.id);
    const adopted = all.filter((running) => this.#compare(peer, running)).map(({ sequence }) => sequence);
    let hasLost = false;
    const told = new Map(all.map((running) => [running.sequence, running]));
    for (const generation of [...this.#options.generations.values()]) {
      const { route, id, epoch, state, hasToken } = generation.sequence;
      if (route === null || stopOf(route, peer) === undefined) continue;
      if ((state !== 'opening' && state !== 'running') || adopted.includes(id)) continue;
      const running = told.get(id);
      if (running?.epoch === epoch && state === 'running' && hasToken) {
        if (peer === route.stops.at(-1)!.peer) generation.sequence.retell();
      } else {
        const loss = { worker: peer.name, how: 'left' } as const;
        const why = `${peer.name} was away when the sequence was opened`;
        hasLost = generation.lose(why, loss, peer) || hasLost;
        if (running !== undefined && this.#expected.has(id)) generation.sequence.noteEpoch(running.epoch);
      }
    }
    if (hasLost) this.#options.onLost(peer);
    this.review();
    if (!this.#isWaiting) this.#reported.clear();
  }

  get #isWaiting(): boolean {
    return [...this.#expected.values()].some(({ isLate }) => !isLate);
  }

  /** Of the newest route that was told, all who are missing are known not to come with it. */
  #isHopeless({ told }: Expected): boolean {
    const { routes } = this.#options;
    const route = newestOf(told)?.route ?? [];
    const backs = new Set([...told.keys()].map(({ id }) => id));
    const isBack = (index: number) => backs.has(route[(index + route.length) % route.length]!.peer);
    const missing = route.flatMap((_stop, index) => (isBack(index) ? [] : index));
    return (
      missing.length > 0 &&
      missing.every((index) => {
        const id = route[index]!.peer;
        if (this.#reported.has(id)) return true;
        return !routes.isHeard(id) && (isBack(index - 1) || isBack(index + 1));
      })
    );
  }

  #giveUpAfter(id: number, ms: number): void {
    const expected = this.#expected.get(id);
    const cancel = this.#options.timers.after(ms, () => {
      if (expected !== undefined && this.#expected.get(id) === expected) this.#giveUp(id, expected);
    });
    this.#options.generations.get(id)?.whenClosed(cancel);
  }

  /** It goes on without those who are not back; those who are have kept what they hold. */
  #giveUp(id: number, expected: Expected): void {
    const generation = this.#options.generations.get(id);
    if (expected.isLate || generation === undefined) return;
    expected.isLate = true;
    // What stages have of it is theirs to keep only under an epoch that is higher than any of theirs.
    for (const { epoch } of expected.told.values()) generation.sequence.noteEpoch(epoch);
    const newest = newestOf(expected.told);
    const those = [...expected.told].filter(
      ([, running]) => newest !== undefined && isOfOne(running, newest),
    );
    generation.resumeNear({ stops: those.map(([peer, running]) => stopAt(peer, running)) });
  }

  /** @returns whether the sequence goes on from here on, its last stage asked */
  #compare(peer: Peer, running: RunningSequence): boolean {
    const generation = this.#options.generations.get(running.sequence);
    const expected = this.#expected.get(running.sequence);
    const route = generation?.sequence.route ?? null;
    const isOfIt = route === null ? expected !== undefined : stopOf(route, peer) !== undefined;
    if (generation === undefined || !isOfIt || (expected !== undefined && !isPlausible(peer, running))) {
      peer.connection.send({ type: 'close', sequence: running.sequence });
      return false;
    }
    if (expected === undefined || route !== null) return false;
    expected.told.set(peer, running);
    generation.sequence.noteOpenOn(peer);
    if (expected.isLate) {
      generation.sequence.noteEpoch(running.epoch);
      return false;
    }
    const whole = wholeRoute(expected.told, running.epoch);
    if (whole === null || !this.#options.routes.isHeld(whole)) return false;
    this.#expected.delete(running.sequence);
    generation.adopt(whole, running.epoch, running.wire);
    if (whole.stops.some((_, index) => isBroken(whole, index, expected.broken))) {
      generation.lose('a link of its route broke while the server was away', { worker: null, how: 'failed' });
    }
    return true;
  }
}

/** Whether the link to the next stage is; of the last, to the first. */
function isBroken({ stops }: MeshRoute, index: number, broken: ReadonlySet<string>): boolean {
  const [one, next] = [stops[index]!.peer.id, stops[(index + 1) % stops.length]!.peer.id];
  return broken.has(`${one} ${next}`) || broken.has(`${next} ${one}`);
}

/** It names itself in its place, and an epoch that a sequence can come to. */
function isPlausible(peer: Peer, { epoch, index, route }: RunningSequence): boolean {
  return epoch <= MAX_TOLD_EPOCH && route[index]?.peer === peer.id;
}

function newestOf(told: Expected['told']): RunningSequence | undefined {
  return [...told.values()].sort((a, b) => b.epoch - a.epoch)[0];
}

const isOfOne = (a: RunningSequence, b: RunningSequence): boolean =>
  a.epoch === b.epoch && JSON.stringify(a.route) === JSON.stringify(b.route);

function stopAt(peer: Peer, { route, index, shard }: RunningSequence): RouteStop {
  const { start, end } = route[index]!;
  return { peer, shard, start, end, class: peer.capability?.class ?? null };
}

/** The route of that epoch, where all its stages have told it alike. */
function wholeRoute(told: Expected['told'], epoch: number): MeshRoute | null {
  const newest = [...told.values()].find((running) => running.epoch === epoch)!;
  const those = [...told].filter(([, running]) => isOfOne(running, newest));
  const stops = newest.route.map((_stop, index) => those.find(([, running]) => running.index === index));
  const known = stops.filter((stop) => stop !== undefined);
  return known.length === stops.length
    ? { stops: known.map(([peer, running]) => stopAt(peer, running)) }
    : null;
}
