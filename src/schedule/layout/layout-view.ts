/** What is asked of a layout, and what one is. */
import type { ModelCosts } from '../costs.ts';
import type { LayerRange, RoundTripSeconds, WorkerView } from '../mesh-view.ts';
import type { LayoutSpareReason } from './spared.ts';

export interface LayoutOptions {
  /** A route has at least so many stages, though fewer would be quicker: to show a split. Fewer where there are fewer workers. */
  readonly minStages?: number;
  /** A route has at most so many. */
  readonly maxStages?: number;
  /** Whoever holds anything holds the whole model. */
  readonly solo?: boolean;
  /** So many workers shall hold each layer, where memory allows. */
  readonly replicaGoal?: number;
  /** Requests that run at once, as a rule. */
  readonly concurrency?: number;
}

export interface LayoutView {
  readonly costs: ModelCosts;
  /** In the order in which they came: of equals the first is taken. */
  readonly workers: readonly WorkerView[];
  readonly rtt: RoundTripSeconds;
  readonly options?: LayoutOptions;
}

export interface Holding extends LayerRange {
  readonly worker: string;
  /** On the GPU. */
  readonly bytes: number;
}

export interface LayoutSpare {
  readonly worker: string;
  readonly reason: LayoutSpareReason;
}

export interface Layout {
  readonly kind: 'placed';
  /** By the layer at which they start, then in the workers' order. */
  readonly holdings: readonly Holding[];
  /** The stages of the quickest route, in order. */
  readonly route: readonly Holding[];
  /** Of one request alone on that route. */
  readonly tokenSeconds: number;
  /** Tokens a second of as many requests as it takes. */
  readonly capacity: number;
  readonly spares: readonly LayoutSpare[];
  /** What the search did, in steps: its time without a clock. */
  readonly steps: number;
}
