/** What a seed stands for: a mesh, its clients, and everything that goes wrong. */
import { GREEDY, type SamplingParams } from '../model/sampling.ts';
import type { Asked } from './model.ts';
import { SeededRandom } from './random.ts';

export const FAULT_KINDS = [
  'kill',
  'vanish',
  'leave',
  'drain',
  'reload',
  'freeze',
  'slow',
  'lose-socket',
  'lose-device',
  'break-link',
  'cut-link',
  'isolate',
  'deafen',
  'server-restart',
  'server-freeze',
  'server-unreachable',
  'join',
  'hang-up',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  readonly atMs: number;
  /** Of what passes: freezes, partitions, the server's absence. */
  readonly forMs: number;
  /** Draws whom it hits, of those who are there then. */
  readonly draw: number;
  /** Prefers workers that compute an answer. */
  readonly isAimed: boolean;
}

export interface PlannedAnswer {
  readonly asked: Asked;
  readonly atMs: number;
  readonly topLogprobs: number | null;
  readonly resumes: boolean;
}

export interface ChaosPlan {
  readonly seed: number;
  readonly topology: 'loopback' | 'lan' | 'wan';
  readonly layers: number;
  /** Into so many stages the model is cut, as no worker has memory for more. */
  readonly stages: number;
  /** Workers at the start. */
  readonly workers: number;
  /** Sequences of full length that a worker has memory for. */
  readonly places: number;
  /** Of one row in one layer, on the quickest worker. */
  readonly layerMs: number;
  readonly f16RangeOneIn: number;
  /** Of rows that a worker keeps after it sent them; null: as many as usual. With few, more is computed again. */
  readonly keptBytes: number | null;
  /** Share of loads that fail. */
  readonly failedLoads: number;
  readonly answers: readonly PlannedAnswer[];
  readonly faults: readonly PlannedFault[];
  /** From here on nothing goes wrong any more. */
  readonly calmAtMs: number;
}

export const CONTEXT = 192;
export const ANSWER_DEADLINE_MS = 120_000;
const VOCAB = 50_000;

export function planChaos(seed: number): ChaosPlan {
  const root = new SeededRandom(seed);
  const random = root.fork('mesh');
  const stages = 1 + random.below(6);
  const hasReplicas = random.chance(0.6);
  const spares = random.below(3);
  // Of streams of their own: what is drawn later moves nothing that was drawn before.
  const kept = root.fork('kept');
  const loads = root.fork('loads');
  const answers = planAnswers(root.fork('answers'));
  const faults = planFaults(root.fork('faults'));
  return {
    seed,
    topology: random.pick(['loopback', 'lan', 'lan', 'wan']),
    layers: stages + random.below(7),
    stages,
    workers: stages * (hasReplicas ? 2 : 1) + spares,
    places: 1 + random.below(4),
    layerMs: random.between(0.3, 6),
    f16RangeOneIn: random.chance(0.1) ? 400 : 0,
    keptBytes: kept.chance(0.3) ? kept.below(1_500) : null,
    failedLoads: loads.chance(0.15) ? 0.2 : 0,
    answers,
    faults,
    calmAtMs: Math.max(0, ...faults.map(({ atMs, forMs }) => atMs + forMs)) + 1_000,
  };
}

function planAnswers(random: SeededRandom): PlannedAnswer[] {
  return Array.from({ length: 1 + random.below(6) }, () => {
    const prompt = Array.from({ length: 1 + random.below(110) }, () => random.below(VOCAB));
    return {
      asked: {
        prompt,
        maxTokens: 1 + random.below(Math.min(60, CONTEXT - prompt.length)),
        eosTokenIds: random.chance(0.2) ? Array.from({ length: 8 }, (_, i) => i * 5_000) : [],
        sampling: planSampling(random),
      },
      atMs: random.chance(0.3) ? 0 : random.below(12_000),
      topLogprobs: random.chance(0.2) ? random.below(4) : null,
      resumes: random.chance(0.7),
    };
  });
}

function planSampling(random: SeededRandom): SamplingParams {
  if (random.chance(0.4)) return GREEDY;
  return {
    ...GREEDY,
    temperature: 0.8,
    seed: random.u32(),
    ...(random.chance(0.5) && { frequencyPenalty: 0.5, repetitionPenalty: 1.1 }),
    ...(random.chance(0.2) && { presencePenalty: 0.25 }),
  };
}

function planFaults(random: SeededRandom): PlannedFault[] {
  // Half of the schedules repeat one kind: storms of one thing find other holes than a bit of all.
  const only = random.chance(0.4) ? random.pick(FAULT_KINDS) : null;
  return Array.from({ length: 1 + random.below(7) }, () => ({
    kind: only !== null && random.chance(0.8) ? only : random.pick(FAULT_KINDS),
    atMs: random.below(14_000),
    forMs: random.chance(0.5) ? random.between(50, 1_500) : random.between(1_500, 25_000),
    draw: random.u32(),
    isAimed: random.chance(0.75),
  }));
}
