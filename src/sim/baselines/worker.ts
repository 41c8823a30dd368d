import type { CostedWorker } from '../../schedule/stage-costs.ts';

/** A worker as the rules of others see it. */
export interface BaselineWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
}
