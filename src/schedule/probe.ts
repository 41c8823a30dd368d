/**
 * What a probe asks, and what its answer says of those who computed it. Pure.
 *
 * Workers of one class compute the same bits, wherever the layers are cut, as a probe's activations are not rounded on their way. So
 * the answer of a route depends on the classes of its layers alone.
 */

/** The first comes of the prompt; the second needs the way from the last stage to the first. */
export const PROBE_TOKENS = 2;
/** Few, as every start waits for them; several, so that attention has something to attend to. */
const PROBE_PROMPT = 8;

/** Spread over the vocabulary, the same at all times. @param vocab ids of the model, at least 1 */
export function probeIds(vocab: number): number[] {
  return Array.from({ length: PROBE_PROMPT }, (_, i) => Math.floor(((i + 1) * vocab) / (PROBE_PROMPT + 1)));
}

/** One stage of the route that was probed: layers [start, end). */
export interface ProbedStage {
  readonly peer: string;
  /** Of its adapter; null: not known. */
  readonly class: string | null;
  readonly start: number;
  readonly end: number;
  /** What it holds has been on a round before, and it is believed. */
  readonly isProven: boolean;
}

export type ProbeVerdict =
  /** `witnesses`: those that others gave the same answer to; 0: nobody could check it. */
  | { readonly kind: 'proved'; readonly witnesses: number }
  /** Most of those who are believed say otherwise; one of `peers` computes something else. */
  | { readonly kind: 'wrong'; readonly peers: readonly string[] };

/** The answers that workers were part of, each worker's newest for each kind of route. */
export class ProbeAnswers {
  /** By the classes of the layers, by peer. */
  readonly #answers = new Map<string, Map<string, string>>();

  /**
   * Compares with what others gave, and remembers what was not refuted.
   * @param tokens PROBE_TOKENS ids
   * @param isTrusted whether the peer's word counts
   */
  judge(
    stages: readonly ProbedStage[],
    tokens: readonly number[],
    isTrusted: (peer: string) => boolean,
  ): ProbeVerdict {
    const kind = kindOf(stages);
    if (kind === null) return { kind: 'proved', witnesses: 0 };
    const given = this.#answers.get(kind) ?? new Map<string, string>();
    this.#answers.set(kind, given);
    const suspects = stages.filter(({ isProven }) => !isProven).map(({ peer }) => peer);
    const answer = tokens.join();
    const witnesses = [...given].filter(([peer]) => isTrusted(peer) && !suspects.includes(peer));
    const agreeing = witnesses.filter(([, theirs]) => theirs === answer).length;
    if (suspects.length > 0 && agreeing === 0 && mostOf(witnesses.map(([, theirs]) => theirs))) {
      return { kind: 'wrong', peers: suspects };
    }
    for (const { peer } of stages) given.set(peer, answer);
    return { kind: 'proved', witnesses: agreeing };
  }

  /** It is gone, or is not believed any more. */
  forget(peer: string): void {
    for (const [kind, given] of this.#answers) {
      given.delete(peer);
      if (given.size === 0) this.#answers.delete(kind);
    }
  }
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

/** Whether more than half of them say the same. */
function mostOf(answers: readonly string[]): boolean {
  return answers.some((answer) => 2 * answers.filter((other) => other === answer).length > answers.length);
}
