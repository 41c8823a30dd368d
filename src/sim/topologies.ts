import type { Topology } from './network.ts';

/** Tabs of one machine. */
export const LOOPBACK: Topology = { latencyMs: () => 0.05, jitter: 0.2, loss: 0 };

/** One house: Wi-Fi, with its waits. */
export const LAN: Topology = { latencyMs: () => 1.5, jitter: 0.4, loss: 0.0005 };

/** One way in ms between Western Europe, US East, US West, Brazil, India, Japan; half of what cloud regions measure between them. */
const REGIONS = [
  [6, 40, 70, 95, 60, 115],
  [40, 8, 32, 58, 95, 80],
  [70, 32, 8, 88, 110, 52],
  [95, 58, 88, 8, 150, 130],
  [60, 95, 110, 150, 10, 62],
  [115, 80, 52, 130, 62, 6],
] as const;

export const REGION_COUNT = REGIONS.length;

/** Homes all over the world; a site is a region. */
export const WAN: Topology = {
  latencyMs: (from, to) => REGIONS[from % REGION_COUNT]![to % REGION_COUNT]!,
  jitter: 0.1,
  loss: 0.001,
};
