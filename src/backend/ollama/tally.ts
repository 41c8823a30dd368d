/** Ollama's counts and durations as OpenAI's usage, and as this server's own `shoal`. */
import type { PieceEnd } from './api.ts';

export class Tally {
  readonly #ends: (PieceEnd | undefined)[];
  readonly #choicesPerPrompt: number;

  constructor(choices: number, choicesPerPrompt: number) {
    this.#ends = Array.from({ length: choices });
    this.#choicesPerPrompt = choicesPerPrompt;
  }

  ended(index: number, end: PieceEnd): void {
    this.#ends[index] = end;
  }

  /**
   * As OpenAI counts: a prompt once, however many choices it has. Ollama leaves a count out where it is zero, and counts of
   * a prompt that it has just seen only what is new: the largest is the prompt's.
   */
  usage() {
    let prompt = 0;
    for (let at = 0; at < this.#ends.length; at += this.#choicesPerPrompt) {
      const ends = this.#ends.slice(at, at + this.#choicesPerPrompt);
      prompt += Math.max(...ends.map((end) => end?.prompt_eval_count ?? 0));
    }
    const completion = this.#ends.reduce((sum, end) => sum + (end?.eval_count ?? 0), 0);
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
  }
}

const NS_PER_MS = 1e6;

/** The field that the native engine's answers have, too; no tabs served this one. */
export function shoalOf(end: PieceEnd, timeToFirstTokenMs: number | null) {
  const { eval_count: tokens = 0, eval_duration: evalNs = 0 } = end;
  return {
    stages: [],
    restarts: 0,
    time_to_first_token_ms: rounded(timeToFirstTokenMs),
    tokens_per_second: rounded(tokens === 0 || evalNs === 0 ? null : (tokens * 1e9) / evalNs),
    load_ms: rounded((end.load_duration ?? 0) / NS_PER_MS),
    prompt_ms: rounded((end.prompt_eval_duration ?? 0) / NS_PER_MS),
    eval_ms: rounded(evalNs / NS_PER_MS),
  };
}

const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
