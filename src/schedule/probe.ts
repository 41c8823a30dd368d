/**
 * What a probe asks, and what its answer says of those who computed it. Pure.
 *
 * Workers of one class compute the same bits, wherever the layers are cut, as a probe's activations are not rounded on their way. So
 * where a route and another one that is believed are of the same classes, their answers are the same; where they are not, or a class is
 * not known, nearly always the first ids are, and one that differs is tried again with other ids before anybody is the worse for it.
 */

/** Several, as a guess hits one now and then; each but the first needs the way from the last stage to the first. */
export const PROBE_TOKENS = 4;
/** Few, as every start waits for them; several, so that attention has something to attend to. */
const PROBE_PROMPT = 8;
/** Of the first ids, those that adapters of two classes have in common: behind one that differs the rest means nothing. */
const ALIKE_TOKENS = 2;
/** One household may hold as many workers as it likes, and is one voice. */
const VOICES_TO_EXCLUDE = 2;

/** @param draw a number in [0, below), which nobody can foretell @param vocab ids of the model, at least 1 */
export function probeIds(vocab: number, draw: (below: number) => number): number[] {
  return Array.from({ length: PROBE_PROMPT }, () => draw(vocab));
}

/** One stage of the route that was probed: layers [start, end). */
export interface ProbedStage {
  readonly peer: string;
  /** Of one machine, or one household; null: not known. */
  readonly address: string | null;
  /** Of its adapter; null: not known. */
  readonly class: string | null;
  readonly start: number;
  readonly end: number;
  /** What it holds has been on a round before, and it is believed. */
  readonly isProven: boolean;
  /** Its word counts against others: it has served, or somebody else has computed the same as it. */
  readonly isWitness: boolean;
}

export interface ProbeAnswer {
  readonly stages: readonly ProbedStage[];
  /** PROBE_TOKENS ids. */
  readonly tokens: readonly number[];
}

export type ProbeVerdict =
  /** `vouched`: peers that another, who counts or is from elsewhere, has computed the same as. */
  | { readonly kind: 'proved'; readonly vouched: readonly string[] }
  /** One of them computed something else, or has an adapter that rounds otherwise: they are for where nobody else is. */
  | { readonly kind: 'doubted'; readonly peers: readonly string[] }
  /** Those who are believed, in two places, compute something else on the same adapters: one of `peers` lies, or is broken. */
  | { readonly kind: 'wrong'; readonly peers: readonly string[] };

/** A route that gave another answer: its peers and their addresses. */
type Voice = readonly Pick<ProbedStage, 'peer' | 'address'>[];

/** Who has contradicted whom. */
export class ProbeAnswers {
  /** By the peer that they are against, newest last; each takes one agreement to be forgotten. */
  readonly #against = new Map<string, Voice[]>();
  /** Those that have said otherwise, whether that counted or not. */
  readonly #critics = new Map<string, Set<string>>();

  /**
   * @param reference the same ids over a route that is believed, without those that are probed; null: there is none
   */
  judge({ stages, tokens }: ProbeAnswer, reference: ProbeAnswer | null): ProbeVerdict {
    const suspects = stages.filter(({ isProven }) => !isProven);
    if (reference === null || suspects.length === 0) return { kind: 'proved', vouched: [] };
    const kind = kindOf(stages);
    const isSameKind = kind !== null && kind === kindOf(reference.stages);
    const first = isSameKind ? PROBE_TOKENS : ALIKE_TOKENS;
    const isBelieved = reference.stages.every(({ isWitness }) => isWitness);
    if (tokens.slice(0, first).join() === reference.tokens.slice(0, first).join()) {
      for (const { peer } of suspects) this.#agreed(peer);
      if (suspects.some(({ peer }) => this.#against.has(peer))) return doubted(suspects);
      const isElsewhere = suspects.every((one) => reference.stages.every((other) => isFarFrom(one, other)));
      const vouched =
        isBelieved || isElsewhere ? [...suspects, ...(isElsewhere ? reference.stages : [])] : [];
      return { kind: 'proved', vouched: vouched.map(({ peer }) => peer) };
    }
    for (const { peer } of suspects) this.#contradicted(peer, reference.stages, isBelieved);
    if (isSameKind && suspects.every((one) => this.#voicesAgainst(one) >= VOICES_TO_EXCLUDE)) {
      return { kind: 'wrong', peers: suspects.map(({ peer }) => peer) };
    }
    // One word against another: whose counts no more than the other's is as doubtful.
    const isTie = !isBelieved || suspects.every(({ isWitness }) => isWitness);
    const others = isTie ? reference.stages.filter(({ isWitness }) => isBelieved || !isWitness) : [];
    return doubted([...suspects, ...others]);
  }

  /** Peers that have said otherwise than one of them: others should be asked next. */
  critics(peers: readonly string[]): ReadonlySet<string> {
    return new Set(peers.flatMap((peer) => [...(this.#critics.get(peer) ?? [])]));
  }

  /** It is gone. */
  forget(peer: string): void {
    this.#against.delete(peer);
    this.#critics.delete(peer);
  }

  #contradicted(peer: string, voice: Voice, counts: boolean): void {
    this.#critics.set(peer, new Set([...(this.#critics.get(peer) ?? []), ...voice.map((by) => by.peer)]));
    if (!counts) return;
    const voices = this.#against.get(peer) ?? [];
    this.#against.set(peer, [...voices.slice(1 - MOST_VOICES), voice]);
  }

  #agreed(peer: string): void {
    const voices = this.#against.get(peer)?.slice(1) ?? [];
    if (voices.length === 0) this.forget(peer);
    else this.#against.set(peer, voices);
  }

  /** Those that have nobody, and no place, in common. */
  #voicesAgainst(suspect: ProbedStage): number {
    const heard = new Set<string>();
    let count = 0;
    for (const voice of this.#against.get(suspect.peer) ?? []) {
      const names = voice.map((by) => (isFarFrom(suspect, by) ? `address ${by.address}` : `peer ${by.peer}`));
      if (names.some((name) => heard.has(name))) continue;
      for (const name of names) heard.add(name);
      count++;
    }
    return count;
  }
}

/** A liar that is asked again and again must not have to guess right more often than this. */
const MOST_VOICES = 8;

function doubted(stages: readonly ProbedStage[]): ProbeVerdict {
  return { kind: 'doubted', peers: [...new Set(stages.map(({ peer }) => peer))] };
}

/** Not of one household, as far as is known. */
function isFarFrom({ address }: Pick<ProbedStage, 'address'>, other: Pick<ProbedStage, 'address'>): boolean {
  return address !== null && other.address !== null && address !== other.address;
}

/** Which classes compute which layers, whoever holds them: `a 0-4, b 4-8`. Null where one is not known. */
function kindOf(stages: readonly ProbedStage[]): string | null {
  const runs: { class: string; start: number; end: number }[] = [];
  for (const { class: name, start, end } of stages) {
    if (name === null) return null;
    const last = runs.at(-1);
    if (last?.class === name) last.end = end;
    else runs.push({ class: name, start, end });
  }
  return runs.map((run) => `${run.class} ${run.start}-${run.end}`).join();
}
