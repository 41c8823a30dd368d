import { describe, expect, it } from 'vitest';
import { LINKS_EACH_WAY, MAX_LINKS } from '../../../src/config/limits.ts';
import type { ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { Holding } from '../../../src/server/mesh/holdings/holding.ts';
import { WantedLinks } from '../../../src/server/mesh/holdings/wanted-links.ts';
import { Peer } from '../../../src/server/mesh/peers/peer.ts';

const LAYERS = 12;

class Room {
  /** What each was told last. */
  readonly told = new Map<string, readonly string[]>();
  messages = 0;
  readonly failed = new Set<string>();
  readonly unusable = new Set<Peer>();
  readonly speeds = new Map<Peer, number>();
  readonly holdings: Holding[] = [];
  paths: Holding[][] = [];
  #version = 0;
  readonly links = new WantedLinks({
    layers: LAYERS,
    speed: (peer) => this.speeds.get(peer) ?? 1,
    isUsable: (peer) => !this.unusable.has(peer),
    mayLink: (a, b) => !this.failed.has([a.id, b.id].toSorted().join()),
  });

  add(name: string, start: number, end: number, speed = 1): Holding {
    const send = (message: ServerMessage) => {
      if (message.type !== 'links') return;
      this.messages++;
      this.told.set(
        name,
        message.peers.map(({ peer }) => peer),
      );
    };
    const peer = new Peer(name, name, { send, close: () => {} });
    peer.moveTo('joined');
    this.speeds.set(peer, speed);
    const shard = { start, end, embedding: start === 0, head: end === LAYERS };
    const holding = new Holding(peer, 1, shard, { seconds: 1, bytes: 1 });
    this.holdings.push(holding);
    this.#version++;
    return holding;
  }

  remove(holding: Holding): void {
    this.holdings.splice(this.holdings.indexOf(holding), 1);
    this.#version++;
    this.links.forget(holding.peer);
  }

  settle(): void {
    this.links.update({ holdings: this.holdings, version: this.#version, paths: this.paths });
  }

  /** Both say so, and it had its time to be made again. */
  breakLink(a: Holding, b: Holding): void {
    this.links.report(a.peer, b.peer, 'down');
    this.links.report(b.peer, a.peer, 'down');
    this.links.settled(a.peer, b.peer);
    this.failed.add([a.peer.id, b.peer.id].toSorted().join());
  }

  areWanted(a: Holding, b: Holding): boolean {
    return this.links.areWanted(a.peer, b.peer);
  }
}

/** `many` of each third of the model, from quick to slow. */
function thirds(room: Room, many: number): Holding[][] {
  return [0, 4, 8].map((start) =>
    Array.from({ length: many }, (_, i) => room.add(`p-${start}-${i}`, start, start + 4, many - i)),
  );
}

describe('the links that are wanted', () => {
  it('are all that frames may take in a small room', () => {
    const room = new Room();
    const [first = [], second = [], third = []] = thirds(room, 3);
    room.settle();
    for (const a of first) {
      for (const b of [...second, ...third]) expect(room.areWanted(a, b)).toBe(true);
      for (const b of first) if (a !== b) expect(room.areWanted(a, b)).toBe(false);
    }
  });

  it('are a few of each worker in a large one, the quick to the quick', () => {
    const room = new Room();
    const [first = [], second = []] = thirds(room, 400);
    room.settle();
    const counts = room.holdings.map(({ peer }) => room.links.countOf(peer));
    expect(Math.max(...counts)).toBeLessThanOrEqual(MAX_LINKS);
    expect(counts.reduce((sum, count) => sum + count, 0) / counts.length).toBeLessThan(4 * LINKS_EACH_WAY);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(LINKS_EACH_WAY);
    expect(room.areWanted(first[0]!, second[0]!)).toBe(true);
    expect(room.areWanted(first[0]!, second[399]!)).toBe(false);
    // One message a worker, however many came.
    expect(room.messages).toBe(room.holdings.length);
  });

  it('change for few when one comes or goes', () => {
    const room = new Room();
    const [first = []] = thirds(room, 200);
    room.settle();
    room.messages = 0;
    room.add('p-new', 4, 8, 100);
    room.settle();
    expect(room.messages).toBeLessThanOrEqual(1 + 2 * LINKS_EACH_WAY);
    room.messages = 0;
    room.remove(first[50]!);
    room.settle();
    expect(room.messages).toBeLessThan(6 * LINKS_EACH_WAY);
    room.messages = 0;
    room.settle();
    expect(room.messages).toBe(0);
  });

  it('lead from stage to stage of a route, whoever is on it, and to who may step in', () => {
    const room = new Room();
    const [first = [], second = [], third = []] = thirds(room, 400);
    room.settle();
    const path = [first[7]!, second[390]!, third[200]!];
    expect(room.areWanted(path[0]!, path[1]!)).toBe(false);
    room.paths = [path];
    room.settle();
    for (const [index, stop] of path.entries())
      expect(room.areWanted(stop, path[(index + 1) % 3]!)).toBe(true);
    const standby = second[0]!;
    expect(room.areWanted(path[0]!, standby)).toBe(true);
    expect(room.areWanted(standby, path[2]!)).toBe(true);
  });

  it('are not asked for again at once where they failed and both ends have others', () => {
    const room = new Room();
    const [first = [], second = []] = thirds(room, 2);
    room.settle();
    for (const a of first) for (const b of second) room.links.report(a.peer, b.peer, 'up');
    room.breakLink(first[0]!, second[0]!);
    room.settle();
    expect(room.areWanted(first[0]!, second[0]!)).toBe(false);
    expect(room.told.get('p-0-0')).not.toContain('p-4-0');
    // The others of one end break, too: then it is this one or none.
    room.breakLink(first[0]!, second[1]!);
    room.settle();
    expect(room.areWanted(first[0]!, second[0]!)).toBe(true);
    room.failed.clear();
    room.settle();
    expect(room.areWanted(first[0]!, second[0]!)).toBe(true);
  });

  it('are asked for where they failed when nobody else is fit', () => {
    const room = new Room();
    const [first = [], second = []] = thirds(room, 2);
    room.settle();
    room.breakLink(first[0]!, second[0]!);
    room.settle();
    expect(room.areWanted(first[0]!, second[0]!)).toBe(false);
    room.unusable.add(second[1]!.peer);
    room.settle();
    expect(room.areWanted(first[0]!, second[0]!)).toBe(true);
  });
});
