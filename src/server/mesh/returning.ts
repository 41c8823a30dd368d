import { ADOPT_WAIT_MS } from '../../config/limits.ts';
import type { PeerMessage, RunningSequence } from '../../mesh/protocol/control.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Generation } from './generation.ts';
import { type MeshRoute, stopOf } from './mesh-route.ts';
import type { Peer } from './peer.ts';

type Running = Extract<PeerMessage, { type: 'running' }>;

interface Told {
  readonly peer: Peer;
  readonly running: RunningSequence;
}

/**
 * Workers that are back say what they run. What the server knows of it goes on: as it is, where nothing can have been lost meanwhile;
 * otherwise by the same route under a new epoch, for which the stages have kept nearly everything. After a restart of the server a
 * sequence goes on once all its stages are back, and without those that are not after ADOPT_WAIT_MS.
 */
export class Returning {
  readonly #generations: ReadonlyMap<number, Generation>;
  /** Of sequences that wait for their stages, who is back. */
  readonly #expected = new Map<number, Told[]>();
  /** What peers have told in messages before their last. */
  readonly #partial = new WeakMap<Peer, RunningSequence[]>();

  constructor(generations: ReadonlyMap<number, Generation>) {
    this.#generations = generations;
  }

  /** The sequence began before the server was started again: its stages may be back soon. */
  expect(generation: Generation, timers: Timers): void {
    const { id } = generation.sequence;
    this.#expected.set(id, []);
    generation.whenClosed(() => this.#expected.delete(id));
    generation.whenClosed(
      timers.after(ADOPT_WAIT_MS, () => {
        this.#expected.delete(id);
        generation.seek();
      }),
    );
  }

  reported(peer: Peer, { sequences, last }: Running): void {
    const all = [...(this.#partial.get(peer) ?? []), ...sequences];
    if (!last) {
      this.#partial.set(peer, all);
      return;
    }
    this.#partial.delete(peer);
    for (const running of all) this.#compare(peer, running);
    const told = new Map(all.map((running) => [running.sequence, running]));
    for (const generation of [...this.#generations.values()]) {
      const { route, id, epoch, state, hasToken } = generation.sequence;
      if (route === null || stopOf(route, peer) === undefined) continue;
      if (state !== 'opening' && state !== 'running') continue;
      if (told.get(id)?.epoch === epoch && state === 'running' && hasToken) {
        if (peer === route.stops.at(-1)!.peer) generation.sequence.retell();
      } else {
        generation.lose(`${peer.name} was away when the sequence was opened`, {
          worker: peer.name,
          how: 'left',
        });
      }
    }
  }

  #compare(peer: Peer, running: RunningSequence): void {
    const generation = this.#generations.get(running.sequence);
    const told = this.#expected.get(running.sequence);
    const route = generation?.sequence.route ?? null;
    const isUnknown = generation === undefined;
    if (isUnknown || (told === undefined && route !== null && stopOf(route, peer) === undefined)) {
      peer.connection.send({ type: 'close', sequence: running.sequence });
      return;
    }
    generation.sequence.noteEpoch(running.epoch);
    if (told === undefined) return;
    told.push({ peer, running });
    const whole = wholeRoute(told, running.epoch);
    if (whole === null || running.epoch < generation.sequence.epoch) return;
    this.#expected.delete(running.sequence);
    generation.adopt(whole, running.epoch, running.wire);
  }
}

/** The route of that epoch, where all its stages have told it alike. */
function wholeRoute(told: readonly Told[], epoch: number): MeshRoute | null {
  const those = told.filter(({ running }) => running.epoch === epoch);
  const { route } = those[0]!.running;
  const text = JSON.stringify(route);
  const stops = route.map(({ peer: id, start, end }, index) => {
    const stage = those.find(
      ({ peer, running }) =>
        peer.id === id && running.index === index && JSON.stringify(running.route) === text,
    );
    return (
      stage && {
        peer: stage.peer,
        shard: stage.running.shard,
        start,
        end,
        class: stage.peer.capability?.class ?? null,
      }
    );
  });
  const known = stops.filter((stop) => stop !== undefined);
  return known.length === stops.length ? { stops: known } : null;
}
