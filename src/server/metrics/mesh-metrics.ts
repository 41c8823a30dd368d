import { Counter, Gauge, type Registry } from 'prom-client';
import { medianOf } from '../../schedule/mesh-view.ts';
import type { MeshFigures } from '../mesh/told/figures.ts';

const COUNTERS = {
  failovers: {
    name: 'shoal_failovers_total',
    help: 'Times that a sequence went on with another route.',
  },
  replayedPositions: {
    name: 'shoal_replayed_positions_total',
    help: 'Positions that stages computed again for sequences with another route, all stages together.',
  },
  crossings: {
    name: 'shoal_class_crossings_total',
    help: 'Times that a sequence went on in another class of adapters than it had tokens from, so that its text may differ.',
  },
  loadedBytes: {
    name: 'shoal_loaded_bytes_total',
    help: 'Bytes of shards that came onto the GPUs of workers, KV caches included.',
  },
  loadedAgainBytes: {
    name: 'shoal_loaded_again_bytes_total',
    help: 'Of shoal_loaded_bytes_total, bytes of layers that the same worker had held before.',
  },
} as const;

/**
 * The mesh in numbers that do not grow with it: layers, workers and links are counted and summed up, none is a label. All of
 * them are of the mesh that is served now: where another model takes its place, counters begin at 0 again.
 */
export class MeshMetrics {
  readonly #counters: readonly (readonly [keyof typeof COUNTERS, Counter])[];
  readonly #links: Gauge<'state'>;
  readonly #replicas: Gauge<'stat'>;
  readonly #stage: Gauge<'stat'>;
  readonly #roundTrip: Gauge<'stat'>;
  readonly #prediction: Gauge<'of' | 'stat'>;
  readonly #spectators: Gauge;
  readonly #away: Gauge;
  readonly #gauges: readonly Gauge[];

  constructor(registry: Registry) {
    const registers = [registry];
    const keys = Object.keys(COUNTERS) as (keyof typeof COUNTERS)[];
    this.#counters = keys.map((key) => [key, new Counter({ ...COUNTERS[key], registers })]);
    const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
      new Gauge({ name, help, labelNames, registers });
    this.#links = gauge('shoal_links', 'Links that workers are to have, by state.', ['state']);
    this.#replicas = gauge(
      'shoal_layer_replicas',
      'Workers that can compute a layer: of the layer with the fewest (min; 0: there is a gap), and on average (mean).',
      ['stat'],
    );
    this.#stage = gauge(
      'shoal_stage_seconds',
      'One decode step on a stage, from the row that comes to the row that goes, over the workers that report it.',
      ['stat'],
    );
    this.#roundTrip = gauge(
      'shoal_link_round_trip_seconds',
      'Round trip of a ping, over the links that workers report.',
      ['stat'],
    );
    this.#prediction = gauge(
      'shoal_prediction_error_ratio',
      'Of the last ten placements: what was expected before the first token against what was measured, as a share of that; of tokens a second (speed) and of the time to the first (first_token).',
      ['of', 'stat'],
    );
    this.#spectators = gauge('shoal_spectators', 'Pages that are connected and lend nothing.');
    this.#away = gauge('shoal_away_workers', 'Workers whose connection is gone and who may return.');
    this.#gauges = [
      this.#links,
      this.#replicas,
      this.#stage,
      this.#roundTrip,
      this.#prediction,
      this.#spectators,
      this.#away,
    ];
  }

  /** @param figures null while no mesh is served */
  set(figures: MeshFigures | null): void {
    for (const gauge of this.#gauges) gauge.reset();
    if (figures === null) return;
    for (const [key, counter] of this.#counters) {
      counter.reset();
      counter.inc(figures[key]);
    }
    for (const [state, count] of Object.entries(figures.links)) this.#links.set({ state }, count);
    this.#spectators.set(figures.spectators);
    this.#away.set(figures.away);
    summarize(this.#replicas, figures.replicas, ['min', 'mean']);
    summarize(this.#stage, figures.stageSeconds, ['mean', 'max']);
    summarize(this.#roundTrip, figures.roundTripSeconds, ['mean', 'max']);
    const { speed, firstToken } = figures.predictionErrors;
    for (const [of, errors] of [['speed', speed] as const, ['first_token', firstToken] as const]) {
      if (errors.length === 0) continue;
      for (const stat of ['median', 'max', 'last'] as const) {
        this.#prediction.set({ of, stat }, STATS[stat](errors));
      }
    }
  }
}

const STATS = {
  min: (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b)),
  max: (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b)),
  last: (values: readonly number[]) => values.at(-1)!,
  median: medianOf,
  mean: (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length,
};

/** Without values there is no series. */
function summarize(
  gauge: Gauge<'stat'>,
  values: readonly number[],
  stats: readonly (keyof typeof STATS)[],
): void {
  if (values.length === 0) return;
  for (const stat of stats) gauge.set({ stat }, STATS[stat](values));
}
