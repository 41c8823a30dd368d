import type { ShoalError } from '../config/errors.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import type { Frame } from '../mesh/frame.ts';
import type { ServerMessage } from '../mesh/protocol/control.ts';
import type { TokenLogprobs } from '../model/sampling.ts';
import type { HopStats } from './hop-stats.ts';
import type { KeptBudget } from './kept-rows.ts';

type Body<Type extends ServerMessage['type']> = Omit<Extract<ServerMessage, { type: Type }>, 'type'>;
export type OpenSequence = Omit<Body<'open'>, 'shard'>;
export type ResumeSequence = Body<'resume'>;
export type PromptPart = Body<'prompt'>;
export type Retell = Body<'retell'>;
export type Finish = 'stop' | 'length' | null;

/** A token that the last stage picked: it stands at `position`. */
export interface PickedToken {
  readonly position: number;
  readonly token: number;
  readonly finish: Finish;
  /** Where `open` asked for them. */
  readonly logprobs: TokenLogprobs | undefined;
}

/** A sequence in one of its epochs, as the gateway knows it. */
export interface SequenceId {
  readonly sequence: number;
  readonly epoch: number;
}

export interface ToldPick {
  readonly id: SequenceId;
  readonly token: PickedToken;
}

/** What a stage tells the gateway. Calls come in the order in which things happened. */
export interface StageEvents {
  /** It holds positions [0, position), and still has the rows that it sent from `keptFrom` on. */
  opened(id: SequenceId, position: number, keptFrom: number): void;
  /** At least one; those of one micro-batch, each of another sequence. */
  tokens(picks: readonly ToldPick[]): void;
  /** Those at positions ≥ `position`, told before; any before that are not here. */
  retold(id: SequenceId, position: number, tokens: readonly PickedToken[]): void;
  /** The stage has already freed the sequence. `peer`: whose frame it was. */
  sequenceFailed(id: SequenceId, error: ShoalError, peer?: string): void;
  /** A frame or command that nothing answers for (wrong sender, older epoch); dropped. `peer`: who sent the frame. */
  refused(error: ShoalError, peer?: string): void;
  /** The engine is gone (DEVICE_LOST); every sequence has been failed. */
  stageFailed(error: ShoalError): void;
}

export interface StageOptions {
  /** Owned by the stage from here on: `destroy` destroys it. */
  readonly engine: StageEngine;
  /** Whether frames may be sent to `peer`; this worker itself is always there. */
  readonly isLinked: (peer: string) => boolean;
  /**
   * Hands a frame to the link of `peer`, this stage's own included (a loopback). Order of calls is the order of arrival.
   * Rejections with LINK_FAILED are no news here; any other fails the sequences of the frame.
   */
  readonly send: (peer: string, frame: Frame) => Promise<void>;
  readonly events: StageEvents;
  /** Of the worker. */
  readonly kept: KeptBudget;
  readonly hop?: HopStats;
}
