import type { Logger } from 'pino';
import type { ShoalError } from '../../../config/errors.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { ModelCosts } from '../../../schedule/costs.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { WantedLinks } from '../holdings/wanted-links.ts';
import type { Peer } from '../peers/peer.ts';
import type { Registry } from '../peers/registry.ts';
import type { Health } from '../routes/health.ts';
import type { MeshRoutes } from '../routes/routes.ts';
import type { Planner } from './planner.ts';

/** What placing stands on, and whom it tells. */
export interface PlacingOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  readonly stageCosts: StageCosts;
  readonly planner: Planner;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly routes: MeshRoutes;
  readonly links: WantedLinks;
  readonly health: Health;
  /** Whether what the peer holds may be used. */
  readonly isUsable: (peer: Peer) => boolean;
  /** Whether it may be given layers. */
  readonly mayLoad: (peer: Peer) => boolean;
  /** It is away, and what runs on it is not given up. */
  readonly isExpected: (peer: Peer) => boolean;
  /** A worker hears somebody who is not here, and may come. */
  readonly isAwaited: () => boolean;
  /** Layers were handed out, or need not be. */
  readonly onPlaced: () => void;
  /** All layers are held, and this link does not come. */
  readonly onUnlinked: (a: Peer, b: Peer, error: ShoalError) => void;
  readonly timers: Timers;
  readonly log: Logger;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
}
