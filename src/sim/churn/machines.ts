/** Who joins a room: machines as they are, drawn by seed. */
import type { ModelCosts } from '../../schedule/costs.ts';
import type { WorkerView } from '../../schedule/mesh-view.ts';
import type { SeededRandom } from '../random.ts';
import { REGION_COUNT, WAN } from '../topologies.ts';

export interface Machine {
  readonly id: string;
  readonly view: Omit<WorkerView, 'held' | 'cached'>;
  readonly site: number;
  readonly downloadBytesPerSecond: number;
  readonly staysSeconds: number;
}

interface Kind {
  readonly share: number;
  /** A GEMV reads its weights once, so that memory bandwidth says how fast it is: of int8, one a byte. */
  readonly macsPerSecond: readonly [low: number, high: number];
  readonly memoryBytes: readonly [low: number, high: number];
  readonly isFallback?: boolean;
}

const GB = 1e9;
/** Shares by guess: what opens a page is mostly laptops. */
const KINDS: readonly Kind[] = [
  { share: 0.1, macsPerSecond: [8 * GB, 25 * GB], memoryBytes: [1 * GB, 2 * GB] },
  { share: 0.5, macsPerSecond: [20 * GB, 60 * GB], memoryBytes: [2 * GB, 4 * GB] },
  { share: 0.15, macsPerSecond: [80 * GB, 200 * GB], memoryBytes: [6 * GB, 12 * GB] },
  { share: 0.15, macsPerSecond: [150 * GB, 450 * GB], memoryBytes: [4 * GB, 10 * GB] },
  { share: 0.1, macsPerSecond: [1 * GB, 4 * GB], memoryBytes: [2 * GB, 4 * GB], isFallback: true },
];
const DOWNLOAD_BYTES_PER_SECOND = [3e6, 60e6] as const;
/** Half of all tabs are gone after minutes, the others stay. */
const STAYS_SECONDS = { visitor: 400, stayer: 4_500 } as const;

export function drawMachine(random: SeededRandom, number: number): Machine {
  const kind = drawKind(random.unit());
  const id = `w${number}`;
  return {
    id,
    view: {
      id,
      class: null,
      macsPerSecond: logBetween(random, ...kind.macsPerSecond),
      rateIs: 'probed',
      memoryBytes: random.between(...kind.memoryBytes),
      maxBufferBytes: 2 * GB,
      isFallback: kind.isFallback ?? false,
      trusted: true,
    },
    site: random.below(REGION_COUNT),
    downloadBytesPerSecond: logBetween(random, ...DOWNLOAD_BYTES_PER_SECOND),
    staysSeconds: random.exponential(random.chance(0.5) ? STAYS_SECONDS.visitor : STAYS_SECONDS.stayer),
  };
}

/** So that a room keeps its size: who comes a second, for each who is there. */
export const JOINS_PER_SECOND_AND_WORKER = 2 / (STAYS_SECONDS.visitor + STAYS_SECONDS.stayer);

export function roundTripSeconds(a: Machine, b: Machine): number {
  return a === b ? 0 : (2 * WAN.latencyMs(a.site, b.site) * (1 + WAN.jitter)) / 1_000;
}

function drawKind(draw: number): Kind {
  let before = 0;
  for (const kind of KINDS) {
    before += kind.share;
    if (draw < before) return kind;
  }
  return KINDS.at(-1)!;
}

function logBetween(random: SeededRandom, low: number, high: number): number {
  return low * (high / low) ** random.unit();
}

/** A model of 8 billion weights in int8: 32 layers, contexts of 4,096. */
export const ROOM_MODEL: ModelCosts = {
  layers: Array.from({ length: 32 }, () => ({ bytes: 218e6 + 34e6, macs: 218e6 })),
  embedding: { bytes: 525e6, macs: 0 },
  head: { bytes: 525e6, macs: 525e6 },
  tiedBytes: 0,
  scratchBytes: 60e6,
  largestBufferBytes: 128e6,
};
