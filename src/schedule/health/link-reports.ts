/**
 * Whom to move when links are reported bad. A report says as little of who is reported as of who reports: a peer is moved
 * when two report it; with one reporter, whichever of the two has served less. One that is silent towards the server, too, needs no
 * second reporter. Pure: time is passed in.
 */
import { LINK_AVOID_MS, LINK_ECHO_MS, LINK_REPORT_MS } from '../../config/limits.ts';

/** What is known of a peer that reports, or is reported. */
export interface Standing {
  readonly peer: string;
  /** One machine, or one household; null: not known. */
  readonly address: string | null;
  readonly isNewcomer: boolean;
  readonly isExcluded: boolean;
  /** Nothing was heard of it lately. */
  readonly isSilent: boolean;
  /** Tokens, of which those of long ago count less. */
  readonly served: number;
  /** Bad links it was an end of before. */
  readonly incidents: number;
}

export interface LinkJudgement {
  readonly moved: string;
  /** Two say so; else it is one word against another. */
  readonly isSure: boolean;
}

interface Report {
  readonly by: Standing;
  readonly atMs: number;
}

export class LinkReports {
  /** By whom it is about. */
  readonly #reports = new Map<string, Map<string, Report>>();
  /** Pairs by their ids in order, and when one of them was moved for their link. */
  readonly #judgedAtMs = new Map<string, number>();

  /** @returns null where the report changes nothing */
  note(by: Standing, about: Standing, nowMs: number): LinkJudgement | null {
    this.#forget(nowMs);
    // Whoever is kept out is listened to again when it is back in.
    if (by.isExcluded || about.isExcluded || by.peer === about.peer) return null;
    const reports = this.#reports.get(about.peer) ?? new Map<string, Report>();
    this.#reports.set(about.peer, reports.set(by.peer, { by, atMs: nowMs }));
    const isSure = about.isSilent || this.#voices(reports, about) >= 2;
    const pair = pairOf(by.peer, about.peer);
    // The other end's word on a link that was judged already.
    const judgedAtMs = this.#judgedAtMs.get(pair) ?? Number.NEGATIVE_INFINITY;
    if (!isSure && nowMs - judgedAtMs < LINK_ECHO_MS) return null;
    this.#judgedAtMs.delete(pair);
    this.#judgedAtMs.set(pair, nowMs);
    const moved = isSure ? about.peer : lesser(by, about).peer;
    if (isSure) this.#reports.delete(about.peer);
    return { moved, isSure };
  }

  /** Whether they may be neighbours: their link has not failed lately. */
  mayLink(a: string, b: string, nowMs: number): boolean {
    const judgedAtMs = this.#judgedAtMs.get(pairOf(a, b));
    return judgedAtMs === undefined || nowMs - judgedAtMs >= LINK_AVOID_MS;
  }

  /** It is gone; what it said stays for its time. */
  forget(peer: string): void {
    this.#reports.delete(peer);
  }

  /**
   * Who speaks against `about` and is to be believed: a newcomer is not against who has served, and peers of one address are one
   * voice, unless `about` is there too.
   */
  #voices(reports: ReadonlyMap<string, Report>, about: Standing): number {
    const voices = new Set<string>();
    for (const { by } of reports.values()) {
      if (by.isNewcomer && !about.isNewcomer) continue;
      const isNeighbour = by.address === null || by.address === about.address;
      voices.add(isNeighbour ? `peer ${by.peer}` : `address ${by.address}`);
    }
    return voices.size;
  }

  #forget(nowMs: number): void {
    for (const [about, reports] of this.#reports) {
      for (const [by, { atMs }] of reports) if (nowMs - atMs >= LINK_REPORT_MS) reports.delete(by);
      if (reports.size === 0) this.#reports.delete(about);
    }
    // In the order of their judging.
    for (const [pair, atMs] of this.#judgedAtMs) {
      if (nowMs - atMs < LINK_AVOID_MS) break;
      this.#judgedAtMs.delete(pair);
    }
  }
}

/** Who has served less; of equals who was the end of more bad links, then who is reported. */
function lesser(by: Standing, about: Standing): Standing {
  if (by.isNewcomer !== about.isNewcomer) return by.isNewcomer ? by : about;
  if (by.served !== about.served) return by.served < about.served ? by : about;
  return by.incidents > about.incidents ? by : about;
}

const pairOf = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
