import type { Logger } from 'pino';
import { DEFAULT_REPLICAS } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Quantization } from '../../model/shard.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import type { LayoutOptions } from '../../schedule/layout/layout-view.ts';
import type { ReceiptKey } from './holdings/receipts.ts';

export interface GroundOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  readonly quantization?: Quantization;
  readonly maxStages?: number;
  readonly minStages?: number;
  readonly solo?: boolean;
  readonly expectWorkers?: number;
  readonly replicas?: number;
  /** Ids of the model. */
  readonly vocab: number;
  /** Whether a route is live only after a token went round it. Default true. */
  readonly probes?: boolean;
  /** A number in [0, below), which nobody can foretell: for probes. Default: the system's; a simulation has its own. */
  readonly draw?: (below: number) => number;
  /** A number for a sequence, that no other has. */
  readonly nextSequence: () => number;
  /** Default: one of its own, that is gone with it. */
  readonly receiptKey?: ReceiptKey;
  readonly timers: Timers;
  readonly log: Logger;
}

/** What the layout is asked for. */
export function layoutAsked({ solo, minStages, maxStages, replicas }: GroundOptions): LayoutOptions {
  return {
    replicaGoal: replicas ?? DEFAULT_REPLICAS,
    ...(solo !== undefined && { solo }),
    ...(minStages !== undefined && { minStages }),
    ...(maxStages !== undefined && { maxStages: maxStages }),
  };
}
