/** What the route that serves is expected to give, beside what it then gives; the difference is learnt. */
import type { Status } from '../../mesh/protocol/status.ts';
import { Correction, corrected, predict } from '../../schedule/predict.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import type { MeshRoute } from './mesh-route.ts';
import type { Peer } from './peer.ts';
import type { ServedSpeeds } from './served-speeds.ts';

export interface ForecastOptions {
  readonly costs: StageCosts;
  readonly speeds: ServedSpeeds;
  readonly hopSeconds: (from: Peer, to: Peer) => number;
}

/** Of the prompt whose first token is told beforehand: a question in a chat. */
const PROMPT_POSITIONS = 32;
/** Weight of the newest token among those measured. */
const MEASURED_WEIGHT = 1 / 16;

export type Expected = NonNullable<Status['predicted']>;

export class Forecast {
  readonly #options: ForecastOptions;
  readonly #correction = new Correction();
  /** Of the route that serves; begins anew with another. */
  #tokenMs: number | null = null;
  #firstTokenMs: number | null = null;

  constructor(options: ForecastOptions) {
    this.#options = options;
  }

  predicted(route: MeshRoute): Expected {
    const told = corrected(this.#raw(route), this.#correction.factor(route.stops.length));
    return { tokensPerSecond: told.tokensPerSecond, firstTokenMs: told.firstTokenSeconds * 1_000 };
  }

  /** Null before the first token. */
  get measured(): { readonly tokensPerSecond: number; readonly firstTokenMs: number | null } | null {
    if (this.#tokenMs === null) return null;
    return { tokensPerSecond: 1_000 / this.#tokenMs, firstTokenMs: this.#firstTokenMs };
  }

  /** Another route serves. */
  began(): void {
    this.#tokenMs = null;
    this.#firstTokenMs = null;
  }

  /** A sequence's first token, so long after it was given its route. */
  first(elapsedMs: number): void {
    this.#firstTokenMs = elapsedMs;
  }

  /** A token that came so long after the one before it. @param sharing sequences on the busiest stage: beside others it tells nothing */
  token(route: MeshRoute, elapsedMs: number, sharing: number): void {
    if (sharing > 1 || !(elapsedMs > 0)) return;
    const old = this.#tokenMs;
    this.#tokenMs = old === null ? elapsedMs : old + (elapsedMs - old) * MEASURED_WEIGHT;
    this.#correction.learn(route.stops.length, 1 / this.#raw(route).tokensPerSecond, elapsedMs / 1_000);
  }

  #raw({ stops }: MeshRoute): ReturnType<typeof predict> {
    const { costs, speeds, hopSeconds } = this.#options;
    const stages = stops.map(({ peer, start, end }, index) => {
      const next = stops[(index + 1) % stops.length]!.peer;
      return {
        start,
        end,
        cost: speeds.cost(peer),
        prefillRowsPerSecond: peer.stats?.prefillRowsPerSecond ?? null,
        hopSeconds: next === peer ? 0 : hopSeconds(peer, next),
      };
    });
    return predict(costs, stages, PROMPT_POSITIONS);
  }
}
