/** Connections that lend nothing: before `hello`, spectators, workers that left. They are bounded apart from workers, so that they lock nobody out. */
import { MAX_SPECTATORS, MAX_SPECTATORS_PER_ADDRESS } from '../../../config/limits.ts';

export interface Guest {
  /** Of one machine, or one household; null: not known. */
  readonly address: string | null;
  /** There is no room for it any more. It calls `leave` itself. */
  showOut(): void;
}

/** Takes everyone: where there is no room, the oldest of the address that has most gives way. Who comes to join is gone again in no time. */
export class Lobby {
  /** Each address's, in the order of their coming. */
  readonly #guests = new Map<string | null, Set<Guest>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  enter(guest: Guest): void {
    const ofAddress = this.#guests.get(guest.address) ?? new Set();
    this.#guests.set(guest.address, ofAddress);
    if (ofAddress.has(guest)) return;
    ofAddress.add(guest);
    this.#size++;
    const isAlone = guest.address !== null && ofAddress.size > MAX_SPECTATORS_PER_ADDRESS;
    if (!isAlone && this.#size <= MAX_SPECTATORS) return;
    const crowded = isAlone ? ofAddress : this.#mostCrowded();
    const [oldest] = crowded;
    if (oldest === undefined) return;
    this.leave(oldest);
    oldest.showOut();
  }

  leave(guest: Guest): void {
    const ofAddress = this.#guests.get(guest.address);
    if (ofAddress === undefined || !ofAddress.delete(guest)) return;
    this.#size--;
    if (ofAddress.size === 0) this.#guests.delete(guest.address);
  }

  #mostCrowded(): ReadonlySet<Guest> {
    let most: ReadonlySet<Guest> = new Set();
    for (const guests of this.#guests.values()) if (guests.size > most.size) most = guests;
    return most;
  }
}
