/** How far what was said of placements was from what they then gave. Pure. */
export interface PredictionErrors {
  /** Of tokens a second and of the first token's time: |said − had| ÷ had of each placement, the newest last. */
  readonly speed: readonly number[];
  readonly firstToken: readonly number[];
}

/** Placements that are remembered. */
const REMEMBERED = 10;
/** Tokens of a placement before its speed counts as measured: fewer would be the chance of a moment. */
export const MEASURED_TOKENS = 16;

export class PredictionLog {
  readonly #speed: number[] = [];
  readonly #firstToken: number[] = [];
  /** Of the placement that serves; null: nothing more is to be compared. */
  #saidTokenSeconds: number | null = null;
  #isFirst = false;
  #tokens = 0;
  #seconds = 0;

  get errors(): PredictionErrors {
    return { speed: [...this.#speed], firstToken: [...this.#firstToken] };
  }

  /** Another placement serves. @param saidTokenSeconds of it, before its first token; null: none does */
  began(saidTokenSeconds: number | null): void {
    this.#saidTokenSeconds = saidTokenSeconds;
    this.#isFirst = saidTokenSeconds !== null;
    this.#tokens = 0;
    this.#seconds = 0;
  }

  /** Its first answer's first token. @param saidSeconds of a prompt of that length, before it came */
  first(saidSeconds: number, hadSeconds: number): void {
    if (this.#isFirst) note(this.#firstToken, saidSeconds, hadSeconds);
    this.#isFirst = false;
  }

  /** One more token came, alone on its route, so long after the one before it. */
  token(seconds: number): void {
    if (this.#saidTokenSeconds === null) return;
    this.#tokens++;
    this.#seconds += seconds;
    if (this.#tokens < MEASURED_TOKENS) return;
    // Of rates, as people are told them.
    note(this.#speed, 1 / this.#saidTokenSeconds, this.#tokens / this.#seconds);
    this.#saidTokenSeconds = null;
  }
}

function note(errors: number[], said: number, had: number): void {
  const error = Math.abs(said - had) / had;
  if (!Number.isFinite(error)) return;
  errors.push(error);
  if (errors.length > REMEMBERED) errors.shift();
}
