import type { SamplingParams, TokenLogprobs } from '../../model/sampling.ts';

/** What the fxn backend asks of the mesh: ids in, ids out. The server's coordinator implements it. */
export interface TokenGenerator {
  /**
   * Generates after `prompt`. Ends with `finished`, or throws. Returning early from the iteration or aborting `signal`
   * frees the sequence on every stage.
   * @throws NO_PIPELINE, PIPELINE_LOST (restarted too often), DEADLINE_EXCEEDED, ABORTED, OVERLOADED
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent>;
}

export interface GenerateRequest {
  /** Non-empty. */
  readonly prompt: readonly number[];
  /** ≥ 1; prompt.length + maxTokens ≤ the spec's contextLength. */
  readonly maxTokens: number;
  readonly eosTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** With it, each token comes with its log probability and those of so many of the likeliest. */
  readonly topLogprobs?: number;
  /** It began before the server was started again: under this number, if it had one, with these ids generated and delivered. */
  readonly resume?: { readonly sequence: number | null; readonly ids: readonly number[] };
  /** The next run of the server takes it up: where this one ends (SHUTTING_DOWN), the stages keep it and go on. */
  readonly outlives?: boolean;
  /** Whose turn it takes where others wait: `RequestContext.client`. */
  readonly client?: string;
}

export interface ServingStage {
  readonly peer: string;
  readonly name: string;
  /** Layers [start, end). */
  readonly layers: readonly [number, number];
}

/** What an answer had to start again for. */
export interface ServingLoss {
  /** The worker's name; null where no single one is to blame. */
  readonly worker: string | null;
  /** `precision`: values left the range of f16. `stalled`: no token came in time. */
  readonly how: 'left' | 'failed' | 'precision' | 'stalled';
}

export type GenerateEvent =
  /** Once at the start, and again when the sequence was restarted; `losses` says what each of the newest restarts was for. */
  | {
      readonly type: 'pipeline';
      readonly stages: readonly ServingStage[];
      /** Its number on the mesh, by which workers name it to a server that was away. */
      readonly sequence?: number;
      readonly restarts: number;
      readonly losses?: readonly ServingLoss[];
      /** Times that it went on in another class of adapters than it had tokens from, so that its text may differ. */
      readonly crossings?: number;
    }
  /** An end-of-sequence id is delivered too, just before `finished` with reason `stop`. */
  | { readonly type: 'token'; readonly id: number; readonly logprobs?: TokenLogprobs }
  | { readonly type: 'finished'; readonly reason: 'stop' | 'length' };
