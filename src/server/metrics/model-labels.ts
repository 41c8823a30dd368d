import { MAX_MODEL_LABELS, MODEL_LABELS_REFRESH_MS } from '../../config/limits.ts';

const OTHER = 'other';

/** Which model names may be labels: those that the backend lists. What a client writes makes no series of its own. */
export class ModelLabels {
  readonly #list: () => Promise<readonly string[]>;
  readonly #now: () => number;
  /** Names that went stay: their counts do. */
  readonly #known = new Set<string>();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> = Promise.resolve();

  constructor(list: () => Promise<readonly string[]>, now: () => number) {
    this.#list = list;
    this.#now = now;
  }

  /** By what is known now. A request without a name means the only model, where there is one. */
  labelNow(model: string | undefined): string {
    if (model !== undefined) return this.#known.has(model) ? model : OTHER;
    const [only] = this.#known;
    return this.#known.size === 1 && only !== undefined ? only : OTHER;
  }

  /** Asks the backend first if the name is new and it was not asked lately. */
  async label(model: string | undefined): Promise<string> {
    if (model === undefined || !this.#known.has(model)) await this.refresh();
    return this.labelNow(model);
  }

  /** Never rejects: a backend that is down has no new names. */
  refresh(): Promise<void> {
    if (this.#now() - this.#askedAt < MODEL_LABELS_REFRESH_MS) return this.#asking;
    this.#askedAt = this.#now();
    this.#asking = this.#list().then(
      (models) => {
        for (const model of models) if (this.#known.size < MAX_MODEL_LABELS) this.#known.add(model);
      },
      () => {},
    );
    return this.#asking;
  }
}
