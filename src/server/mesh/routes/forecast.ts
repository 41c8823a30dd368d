/** What the route that serves is expected to give, beside what it then gives; the difference is learnt. */
import type { Status } from '../../../mesh/protocol/status.ts';
import { hopSeconds } from '../../../schedule/mesh-view.ts';
import { Correction, corrected, type Prediction, predict } from '../../../schedule/predict.ts';
import { type PredictionErrors, PredictionLog } from '../../../schedule/prediction-errors.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { ServedSpeeds } from '../holdings/served-speeds.ts';
import type { MeshRoute } from './mesh-route.ts';

export interface ForecastOptions {
  readonly costs: StageCosts;
  readonly speeds: ServedSpeeds;
}

/** Of the prompt whose first token is told beforehand: a question in a chat. */
const PROMPT_POSITIONS = 32;
/** Weight of the newest token among those measured, once there are as many. */
const MEASURED_WEIGHT = 1 / 16;

export type Expected = NonNullable<Status['predicted']>;

export class Forecast {
  readonly #options: ForecastOptions;
  readonly #tokens = new Correction('token');
  readonly #firsts = new Correction('firstToken');
  readonly #log = new PredictionLog();
  /** Of the route that serves; begins anew with another. */
  #live: MeshRoute | null = null;
  #measured = 0;
  #tokenMs = 0;
  #firstTokenMs: number | null = null;

  constructor(options: ForecastOptions) {
    this.#options = options;
  }

  predicted(route: MeshRoute): Expected {
    const { tokensPerSecond, firstTokenSeconds } = this.#corrected(route, PROMPT_POSITIONS);
    return { tokensPerSecond, firstTokenMs: firstTokenSeconds * 1_000 };
  }

  /** Null before the second token. */
  get measured(): { readonly tokensPerSecond: number; readonly firstTokenMs: number | null } | null {
    if (this.#measured === 0) return null;
    return { tokensPerSecond: 1_000 / this.#tokenMs, firstTokenMs: this.#firstTokenMs };
  }

  /** Of placements so far: what was said before their first token against what they then gave. */
  get errors(): PredictionErrors {
    return this.#log.errors;
  }

  /** Another route serves; null: none. */
  began(live: MeshRoute | null): void {
    this.#live = live;
    this.#measured = 0;
    this.#firstTokenMs = null;
    const said = live === null ? null : this.#corrected(live, PROMPT_POSITIONS);
    this.#log.began(said && 1 / said.tokensPerSecond);
  }

  /**
   * The first token of a sequence that began on the route, so long after it was given it.
   * @param prompt its positions @param sharing sequences on the busiest stage
   */
  first(route: MeshRoute, elapsedMs: number, prompt: number, sharing: number): void {
    if (sharing > 1 || !(elapsedMs > 0)) return;
    if (this.#isLive(route)) {
      this.#firstTokenMs = elapsedMs;
      this.#log.first(this.#corrected(route, prompt).firstTokenSeconds, elapsedMs / 1_000);
    }
    this.#firsts.learn(route.stops.length, this.#raw(route, prompt).firstTokenSeconds, elapsedMs / 1_000);
  }

  /** A token that came so long after the one before it. @param sharing sequences on the busiest stage: beside others it tells nothing */
  token(route: MeshRoute, elapsedMs: number, sharing: number): void {
    if (sharing > 1 || !(elapsedMs > 0)) return;
    if (this.#isLive(route)) {
      const weight = Math.max(MEASURED_WEIGHT, 1 / ++this.#measured);
      this.#tokenMs += (elapsedMs - this.#tokenMs) * weight;
      this.#log.token(elapsedMs / 1_000);
    }
    const { tokensPerSecond } = this.#raw(route, PROMPT_POSITIONS);
    this.#tokens.learn(route.stops.length, 1 / tokensPerSecond, elapsedMs / 1_000);
  }

  #isLive({ stops }: MeshRoute): boolean {
    const live = this.#live?.stops;
    if (live?.length !== stops.length) return false;
    return stops.every(({ peer, start, end }, index) => {
      const stop = live[index]!;
      return stop.peer === peer && stop.start === start && stop.end === end;
    });
  }

  #corrected(route: MeshRoute, prompt: number): Prediction {
    const stages = route.stops.length;
    return corrected(this.#raw(route, prompt), {
      token: this.#tokens.factor(stages),
      firstToken: this.#firsts.factor(stages),
    });
  }

  #raw({ stops }: MeshRoute, prompt: number): Prediction {
    const { costs, speeds } = this.#options;
    const stages = stops.map(({ peer, start, end }, index) => {
      const next = stops[(index + 1) % stops.length]!.peer;
      return {
        start,
        end,
        cost: speeds.expected(peer),
        prefillRowsPerSecond: speeds.prefillRowsPerSecond(peer, start, end),
        hopSeconds: next === peer ? 0 : hopSeconds(speeds.expectedRttSeconds(peer, next)),
      };
    });
    return predict(costs, stages, prompt);
  }
}
