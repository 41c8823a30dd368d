import type { ShoalError } from '../../src/config/errors.ts';
import type { StageEngine, WireDtype } from '../../src/gpu/stage-engine.ts';
import type { Frame } from '../../src/mesh/frame.ts';
import { decodeFrame, encodeFrame } from '../../src/mesh/frame-codec.ts';
import type { Route } from '../../src/mesh/protocol/control.ts';
import { GREEDY, type SamplingParams, type TokenLogprobs } from '../../src/model/sampling.ts';
import type { Shard } from '../../src/model/shard.ts';
import { KeptBudget } from '../../src/worker/kept-rows.ts';
import { Stage } from '../../src/worker/stage.ts';

/** Layers 0–7 dealt as evenly as possible to k stages. */
export function deal(layers: number, k: number): Shard[] {
  return Array.from({ length: k }, (_, index) => ({
    start: Math.floor((layers * index) / k),
    end: Math.floor((layers * (index + 1)) / k),
    embedding: index === 0,
    head: index === k - 1,
  }));
}

export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The route that passes through these peers, one shard each. */
export function routeThrough(peers: readonly string[], shards: readonly Shard[]): Route {
  return shards.map(({ start, end }, index) => ({ peer: peers[index]!, name: peers[index]!, start, end }));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Waits `turns` rounds of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

export interface Sent {
  readonly from: number;
  readonly to: string;
  readonly frame: Frame;
}

export interface PipelineOptions {
  readonly engines: readonly StageEngine[];
  readonly epoch?: number;
  /** Rounds of the event loop that a frame takes; order on one link is kept. */
  readonly delay?: () => number;
  /** Answers false to swallow a frame. */
  readonly deliver?: (sent: Sent) => boolean;
}

export interface GenerateOptions {
  readonly prompt: readonly number[];
  readonly promptTokens?: number;
  readonly maxTokens: number;
  readonly wire?: WireDtype;
  readonly sampling?: SamplingParams;
  readonly eos?: readonly number[];
  readonly topLogprobs?: number;
}

interface Generated {
  readonly tokens: number[];
  readonly positions: number[];
  readonly logprobs: (TokenLogprobs | undefined)[];
  readonly reason: string;
}

interface Pending {
  readonly tokens: number[];
  readonly positions: number[];
  readonly logprobs: (TokenLogprobs | undefined)[];
  opened: number;
  finish: (result: Generated) => void;
  fail: (error: ShoalError) => void;
}

/** Stages joined by encoded frames over delayed in-memory links, and the gateway's side of their events. */
export class TestPipeline {
  readonly stages: readonly Stage[];
  readonly sent: Sent[] = [];
  readonly failures: { stage: number; sequence: number; error: ShoalError }[] = [];
  readonly refusals: { stage: number; from: string | undefined; error: ShoalError }[] = [];
  readonly stageFailures: { stage: number; error: ShoalError }[] = [];
  readonly opened: number[] = [];
  readonly epoch: number;
  readonly #pending = new Map<number, Pending>();
  readonly #links = new Map<string, Promise<void>>();

  readonly #route: Route;

  constructor(options: PipelineOptions) {
    this.epoch = options.epoch ?? 1;
    const peers = options.engines.map((_, index) => `peer-${index}`);
    this.#route = routeThrough(
      peers,
      options.engines.map(({ shard }) => shard),
    );
    this.stages = options.engines.map(
      (engine, index) =>
        new Stage({
          engine,
          kept: new KeptBudget(),
          isLinked: () => true,
          send: async (to, frame) => {
            const sent = { from: index, to, frame };
            this.sent.push(sent);
            if (options.deliver?.(sent) === false) return;
            const bytes = encodeFrame(frame);
            const link = `${index}>${to}`;
            const before = this.#links.get(link) ?? Promise.resolve();
            const arrival = before.then(async () => {
              await turns(options.delay?.() ?? 0);
              this.stages[peers.indexOf(to)]?.receive(`peer-${index}`, decodeFrame(bytes));
            });
            this.#links.set(link, arrival);
          },
          events: {
            opened: ({ sequence }) => {
              this.opened.push(sequence);
            },
            tokens: (picks) => {
              for (const { id, token: picked } of picks) {
                const { position, token, finish, logprobs } = picked;
                const pending = this.#pending.get(id.sequence);
                if (pending === undefined) continue;
                pending.tokens.push(token);
                pending.positions.push(position);
                pending.logprobs.push(logprobs);
                if (finish !== null) pending.finish({ ...pending, reason: finish });
              }
            },
            retold: () => {},
            sequenceFailed: ({ sequence }, error) => {
              this.failures.push({ stage: index, sequence, error });
              this.#pending.get(sequence)?.fail(error);
            },
            refused: (error, from) => {
              this.refusals.push({ stage: index, from, error });
            },
            stageFailed: (error) => {
              this.stageFailures.push({ stage: index, error });
            },
          },
        }),
    );
  }

  open(sequence: number, options: GenerateOptions): void {
    const { prompt, maxTokens, wire = 'f16', sampling = GREEDY, eos = [], topLogprobs } = options;
    for (const [index, stage] of this.stages.entries()) {
      stage.open({
        sequence,
        epoch: this.epoch,
        index,
        route: this.#route,
        known: prompt.length,
        awaitsResume: false,
        wire,
        maxPositions: prompt.length + maxTokens,
        eosTokenIds: [...eos],
        sampling,
        ...(topLogprobs !== undefined && { topLogprobs }),
        promptTokens: options.promptTokens ?? prompt.length,
      });
    }
  }

  /** The prompt in parts of `partIds`, as the gateway sends it; to the last stage too where a penalty is set. */
  prompt(sequence: number, { prompt, sampling = GREEDY }: GenerateOptions, partIds = 4096): void {
    const targets =
      sampling.repetitionPenalty !== 1 || sampling.presencePenalty !== 0
        ? [this.stages[0], this.stages.at(-1)]
        : [];
    for (const stage of new Set(targets.length > 0 ? targets : [this.stages[0]])) {
      for (let position = 0; position < prompt.length; position += partIds) {
        const ids = prompt.slice(position, position + partIds);
        stage?.prompt({
          sequence,
          epoch: this.epoch,
          position,
          ids,
          last: position + ids.length === prompt.length,
        });
      }
    }
  }

  /** A whole generation: resolves with the tokens once the last stage finishes, then closes every stage. */
  async generate(sequence: number, options: GenerateOptions): Promise<Generated> {
    const result = this.expect(sequence);
    this.open(sequence, options);
    this.prompt(sequence, options);
    try {
      return await result;
    } finally {
      this.close(sequence);
    }
  }

  expect(sequence: number): Promise<Generated> {
    return new Promise((finish, fail) => {
      this.#pending.set(sequence, { tokens: [], positions: [], logprobs: [], opened: 0, finish, fail });
    });
  }

  tokens(sequence: number): readonly number[] {
    return this.#pending.get(sequence)?.tokens ?? [];
  }

  close(sequence: number): void {
    for (const stage of this.stages) stage.close(sequence);
  }

  destroy(): void {
    for (const stage of this.stages) stage.destroy();
  }
}
