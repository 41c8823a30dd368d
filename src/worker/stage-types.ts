import type { ShoalError } from '../config/errors.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import type { Frame } from '../mesh/frame.ts';
import type { ServerMessage } from '../mesh/protocol/control.ts';
import type { TokenLogprobs } from '../model/sampling.ts';
import type { HopStats } from './hop-stats.ts';

type Body<Type extends ServerMessage['type']> = Omit<
  Extract<ServerMessage, { type: Type }>,
  'type' | 'epoch'
>;
export type OpenSequence = Body<'open'>;
export type PromptPart = Body<'prompt'>;
export type Finish = 'stop' | 'length' | null;

/** What a stage tells the gateway. Calls come in the order in which things happened. */
export interface StageEvents {
  opened(sequence: number): void;
  /** From the last stage: the token at `position`, with log probabilities where `open` asked for them. */
  token(
    sequence: number,
    position: number,
    token: number,
    finish: Finish,
    logprobs: TokenLogprobs | undefined,
  ): void;
  /** The stage has already freed the sequence. */
  sequenceFailed(sequence: number, error: ShoalError): void;
  /** A frame that names nothing this stage could fail (wrong sender, wrong epoch); dropped. */
  refused(peer: string, error: ShoalError): void;
  /** The engine is gone (DEVICE_LOST); every sequence has been failed. */
  stageFailed(error: ShoalError): void;
}

export interface StageOptions {
  readonly epoch: number;
  /** The peer of every stage, in pipeline order; this stage is `peers[index]`. */
  readonly peers: readonly string[];
  readonly index: number;
  /** Owned by the stage from here on: `destroy` destroys it. */
  readonly engine: StageEngine;
  /**
   * Hands a frame to the link of `peer`, this stage's own included (a loopback). Order of calls is the order of arrival.
   * A rejection fails the sequences of the frame with LINK_FAILED.
   */
  readonly send: (peer: string, frame: Frame) => Promise<void>;
  readonly events: StageEvents;
  readonly hop?: HopStats;
}
