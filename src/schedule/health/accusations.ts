/**
 * One worker refuses what its neighbour sent, which is the sender's doing or a lie. Who has served clearly less is out, or who is refused
 * in two places; else it is one word against another, and both are for where nobody else can serve. Pure: time is passed in.
 */
import { LINK_REPORT_MS, TRUSTED_TOKENS } from '../../config/limits.ts';
import type { Standing } from './link-reports.ts';

export interface AccusationVerdict {
  readonly out: string | null;
  /** Both, where it is not clear. */
  readonly suspected: readonly string[];
}

export class Accusations {
  /** By whom they are about: when each said so, and from where. */
  readonly #heard = new Map<string, Map<string, { readonly by: Standing; readonly atMs: number }>>();

  judge(by: Standing, about: Standing, nowMs: number): AccusationVerdict {
    this.#forget(nowMs);
    if (hasServedLess(by, about)) return out(by);
    const heard = this.#heard.get(about.peer) ?? new Map();
    const isAgain = heard.has(by.peer);
    this.#heard.set(about.peer, heard.set(by.peer, { by, atMs: nowMs }));
    if (hasServedLess(about, by) || this.#placesAgainst(about) >= 2) return out(about);
    // Nobody else could serve since: one of them has to go, and who refuses has at least said something.
    if (isAgain) return out(about);
    return { out: null, suspected: [by.peer, about.peer] };
  }

  forget(peer: string): void {
    this.#heard.delete(peer);
  }

  /** Households; of the accused one's own, its members. */
  #placesAgainst({ peer, address }: Standing): number {
    const heard = this.#heard.get(peer)?.values() ?? [];
    const places = [...heard].map(({ by }) =>
      by.address === null || by.address === address ? `peer ${by.peer}` : `address ${by.address}`,
    );
    return new Set(places).size;
  }

  #forget(nowMs: number): void {
    for (const [about, heard] of this.#heard) {
      for (const [by, { atMs }] of heard) if (nowMs - atMs >= LINK_REPORT_MS) heard.delete(by);
      if (heard.size === 0) this.#heard.delete(about);
    }
  }
}

function out({ peer }: Standing): AccusationVerdict {
  return { out: peer, suspected: [] };
}

/** Clearly: a short answer more is chance. */
export function hasServedLess(one: Pick<Standing, 'served'>, other: Pick<Standing, 'served'>): boolean {
  return 2 * one.served + TRUSTED_TOKENS < other.served;
}
