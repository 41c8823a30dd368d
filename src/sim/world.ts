import type { MeshOptions } from '../server/mesh/mesh.ts';
import { VirtualClock } from './clock.ts';
import { SimLog } from './log.ts';
import type { SimModel } from './model.ts';
import { Network, type Topology } from './network.ts';
import { SimPeers } from './peers.ts';
import { SeededRandom } from './random.ts';
import { SimServer } from './server.ts';
import { SimTab, type TabOptions } from './tab.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly model: SimModel;
  readonly topology: Topology;
  readonly mesh?: Partial<MeshOptions>;
}

/** Everything of one simulation. The same seed and the same calls give the same run, event for event. */
export class World {
  readonly options: WorldOptions;
  readonly model: SimModel;
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly log: SimLog;
  readonly network: Network;
  readonly peers: SimPeers;
  readonly server: SimServer;
  /** In the order of their coming, those that are gone too. */
  readonly tabs: SimTab[] = [];

  constructor(options: WorldOptions) {
    this.options = options;
    this.model = options.model;
    this.random = new SeededRandom(options.seed);
    this.log = new SimLog(this.clock);
    this.network = new Network(this.clock, this.random.fork('network'), options.topology);
    this.peers = new SimPeers(this.network);
    this.server = new SimServer(this, this.network);
  }

  get alive(): SimTab[] {
    return this.tabs.filter((tab) => tab.isAlive);
  }

  /** Opens a tab; it joins in its own time. @param cache of a browser that was here before */
  open(options: TabOptions, cache?: Set<string>): SimTab {
    const tab = new SimTab(this, options, this.random.fork(`tab ${this.tabs.length}`), cache);
    this.tabs.push(tab);
    void tab.start();
    return tab;
  }
}
