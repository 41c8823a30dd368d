import { ShoalError } from '../../config/errors.ts';
import type { AnswerReport, RequestContext } from '../backend.ts';
import type { ChoicePiece } from '../choices.ts';
import type { Clock } from '../clock.ts';
import type { GenerationCounts, GenerationPiece, GenerationReport } from './generation.ts';
import type { Usage } from './openai-answer.ts';

/** What the choices of one answer come to. */
export class AnswerTally {
  readonly counts: GenerationCounts = { started: 0, tokens: 0, restarts: 0 };
  readonly #reports: (GenerationReport | undefined)[];
  /** By prompt, each of which is counted once. */
  readonly #promptTokens: number;
  #hitLength = false;

  constructor(choices: number, promptTokens: number) {
    this.#reports = Array.from({ length: choices });
    this.#promptTokens = promptTokens;
  }

  finished({ index, piece }: ChoicePiece<GenerationPiece>): void {
    if (piece.type !== 'finished') return;
    this.#reports[index] = piece.report;
    if (piece.reason === 'length') this.#hitLength = true;
  }

  get outcome(): 'stop' | 'length' {
    return this.#hitLength ? 'length' : 'stop';
  }

  get isComplete(): boolean {
    return this.#reports.every((report) => report !== undefined);
  }

  /** While it runs: of the tokens that have come. */
  usageSoFar(): Usage {
    return { promptTokens: this.#promptTokens, completionTokens: this.counts.tokens };
  }

  usage(): Usage {
    const completionTokens = this.#done().reduce((sum, report) => sum + report.completionTokens, 0);
    return { promptTokens: this.#promptTokens, completionTokens };
  }

  /** Of all choices: who served the first, restarts and speeds added up, the earliest first token. */
  combined(): GenerationReport {
    const reports = this.#done();
    const first = reports[0];
    if (first === undefined) throw new Error('no choice has finished');
    const some = (values: (number | null)[]) => values.filter((value) => value !== null);
    const speeds = some(reports.map((report) => report.tokensPerSecond));
    const waits = some(reports.map((report) => report.timeToFirstTokenMs));
    return {
      ...this.usage(),
      stages: first.stages,
      restarts: reports.reduce((sum, report) => sum + report.restarts, 0),
      losses: reports.flatMap((report) => report.losses),
      crossings: reports.reduce((sum, report) => sum + report.crossings, 0),
      timeToFirstTokenMs: waits.length === 0 ? null : Math.min(...waits),
      tokensPerSecond: speeds.length === 0 ? null : speeds.reduce((sum, speed) => sum + speed, 0),
    };
  }

  #done(): GenerationReport[] {
    return this.#reports.filter((report) => report !== undefined);
  }
}

/**
 * The same pieces, watched: `onAnswered` is told once what became of them. Ended early by whoever reads, they count as
 * aborted.
 */
export async function* reported(
  pieces: AsyncGenerator<ChoicePiece<GenerationPiece>>,
  tally: AnswerTally,
  about: {
    readonly model: string;
    readonly clock: Clock;
    /** When the request came. */
    readonly startMs: number;
    readonly onAnswered: RequestContext['onAnswered'];
  },
): AsyncGenerator<ChoicePiece<GenerationPiece>> {
  const { model, clock, startMs, onAnswered } = about;
  let outcome: AnswerReport['outcome'] = 'aborted';
  let firstMs: number | null = null;
  let hadNoRoom = false;
  try {
    for await (const choice of pieces) {
      if (choice.piece.type === 'text') firstMs ??= clock.now() - startMs;
      tally.finished(choice);
      // The reader may stop at the last piece, without asking for the end.
      if (tally.isComplete) outcome = tally.outcome;
      yield choice;
    }
  } catch (thrown) {
    const { code } = ShoalError.from(thrown);
    outcome = code === 'ABORTED' ? 'aborted' : 'error';
    hadNoRoom = code === 'OVERLOADED';
    throw thrown;
  } finally {
    const { started, tokens, restarts } = tally.counts;
    const { promptTokens } = tally.usage();
    onAnswered?.({
      model,
      outcome,
      // A prompt that no pipeline took was not computed.
      promptTokens: started === 0 ? null : promptTokens,
      completionTokens: started === 0 ? null : tokens,
      timeToFirstTokenMs: tally.isComplete ? tally.combined().timeToFirstTokenMs : firstMs,
      durationMs: clock.now() - startMs,
      restarts,
      ...(hadNoRoom && { hadNoRoom }),
    });
  }
}
