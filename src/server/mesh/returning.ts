import { ShoalError } from '../../config/errors.ts';
import { ADOPT_WAIT_MS, MAX_LINKS, MAX_RUNNING_SEQUENCES, MAX_TOLD_EPOCH } from '../../config/limits.ts';
import type { PeerMessage, RunningSequence } from '../../mesh/protocol/control.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Generation } from './generation.ts';
import { type MeshRoute, stopOf } from './mesh-route.ts';
import type { Peer } from './peer.ts';

type Running = Extract<PeerMessage, { type: 'running' }>;

/** What is told of a sequence that the server expects back, by each peer that is back. */
interface Expected {
  readonly told: Map<Peer, RunningSequence>;
  /** Links that ended while the server was away, `reporter other`: frames may be missing behind them. */
  readonly broken: Set<string>;
  /** It was waited for long enough: whoever comes now finds it on another route. */
  isLate: boolean;
}

/**
 * Workers that are back say what they run. What the server knows of it goes on: as it is, where nothing can have been lost meanwhile;
 * otherwise by the same route under a new epoch, for which the stages have kept nearly everything. After a restart of the server a
 * sequence goes on once all its stages are back, and without those that are not after ADOPT_WAIT_MS.
 *
 * A worker's word for an epoch counts only where the server cannot know better, which is of a sequence that began before it was started.
 */
export class Returning {
  readonly #generations: ReadonlyMap<number, Generation>;
  readonly #expected = new Map<number, Expected>();
  /** What peers have told in messages before their last. */
  readonly #partial = new WeakMap<Peer, RunningSequence[]>();

  readonly #isHeld: (route: MeshRoute) => boolean;

  /** @param isHeld whether the route's workers hold what they say that they compute with */
  constructor(generations: ReadonlyMap<number, Generation>, isHeld: (route: MeshRoute) => boolean) {
    this.#generations = generations;
    this.#isHeld = isHeld;
  }

  /** The sequence began before the server was started again: its stages may be back soon. */
  expect(generation: Generation, timers: Timers): void {
    const { id } = generation.sequence;
    const expected: Expected = { told: new Map(), broken: new Set(), isLate: false };
    this.#expected.set(id, expected);
    generation.whenClosed(() => this.#expected.delete(id));
    generation.whenClosed(
      timers.after(ADOPT_WAIT_MS, () => {
        if (this.#expected.get(id) !== expected) return;
        expected.isLate = true;
        // What stages have of it is theirs to keep only under an epoch that is higher than any of theirs.
        for (const { epoch } of expected.told.values()) generation.sequence.noteEpoch(epoch);
        generation.seek();
      }),
    );
  }

  /** The peer joins: it tells anew what it runs. */
  joined(peer: Peer): void {
    this.#partial.delete(peer);
  }

  /** A worker that is back says that its link to another, who may not be back yet, has ended. */
  linkEnded(reporter: Peer, other: string): void {
    for (const { told, broken } of this.#expected.values()) {
      if (told.has(reporter) && broken.size < MAX_LINKS * told.size) broken.add(`${reporter.id} ${other}`);
    }
  }

  /** @throws PROTOCOL_INVALID above MAX_RUNNING_SEQUENCES */
  reported(peer: Peer, { sequences, last }: Running): void {
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
    const adopted = all.filter((running) => this.#compare(peer, running)).map(({ sequence }) => sequence);
    const told = new Map(all.map((running) => [running.sequence, running]));
    for (const generation of [...this.#generations.values()]) {
      const { route, id, epoch, state, hasToken } = generation.sequence;
      if (route === null || stopOf(route, peer) === undefined) continue;
      if ((state !== 'opening' && state !== 'running') || adopted.includes(id)) continue;
      const running = told.get(id);
      if (running?.epoch === epoch && state === 'running' && hasToken) {
        if (peer === route.stops.at(-1)!.peer) generation.sequence.retell();
      } else {
        generation.lose(`${peer.name} was away when the sequence was opened`, {
          worker: peer.name,
          how: 'left',
        });
        if (running !== undefined && this.#expected.has(id)) generation.sequence.noteEpoch(running.epoch);
      }
    }
  }

  /** @returns whether the sequence goes on from here on, its last stage asked */
  #compare(peer: Peer, running: RunningSequence): boolean {
    const generation = this.#generations.get(running.sequence);
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
    if (whole === null || !this.#isHeld(whole)) return false;
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

/** The route of that epoch, where all its stages have told it alike. */
function wholeRoute(told: Expected['told'], epoch: number): MeshRoute | null {
  const those = [...told].filter(([, running]) => running.epoch === epoch);
  const { route } = those[0]![1];
  const text = JSON.stringify(route);
  const stops = route.map(({ peer: id, start, end }, index) => {
    const stage = those.find(
      ([peer, running]) =>
        peer.id === id && running.index === index && JSON.stringify(running.route) === text,
    );
    if (stage === undefined) return undefined;
    const [peer, { shard }] = stage;
    return { peer, shard, start, end, class: peer.capability?.class ?? null };
  });
  const known = stops.filter((stop) => stop !== undefined);
  return known.length === stops.length ? { stops: known } : null;
}
