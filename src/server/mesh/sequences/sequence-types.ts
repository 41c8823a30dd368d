/** What a sequence asks of its surroundings, and tells them. */
import type { GenerateRequest } from '../../../backend/fxn/generator.ts';
import type { ShoalError } from '../../../config/errors.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { TokenLogprobs } from '../../../model/sampling.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';
import type { Patience } from './patience.ts';
import type { PrefillQueue } from './prefill-queue.ts';
import type { Finish, Offence } from './token-offence.ts';

export interface SequenceToken {
  readonly id: number;
  /** Null: others follow. */
  readonly finish: Finish | null;
  /** Where the request asks for them. */
  readonly logprobs?: TokenLogprobs;
  /** That computed it. */
  readonly route: MeshRoute;
  readonly epoch: number;
}

/** What a message of a peer turned out to be; the coordinator logs what is refused. */
export type Verdict =
  | 'taken'
  | 'of an older route'
  | 'not the last stage'
  | 'not open'
  | 'seen before'
  /** Tokens before it were lost on their way; they and it are told again. */
  | 'to be told again'
  | 'ended'
  /** The peer has broken the protocol, and the sequence has failed of it. */
  | 'an offence';

/** What happens to a sequence besides its tokens. */
export interface SequenceEvents {
  /** Every stage has made room for it. @param positions that each of them computes until the next token comes */
  opened(positions: readonly number[]): void;
  /** It goes on with nothing until it is given another route. @param by the peer that told, or is to blame @param offence of it */
  failed(error: ShoalError, by: Peer | null, offence: Offence | null): void;
  /** It has failed, as these stages did not answer `open` in time. */
  unresponsive(peers: readonly Peer[]): void;
  /** It has failed, as no token came in time, and no stage said why. */
  stalled(route: MeshRoute, error: ShoalError): void;
}

export interface SequenceOptions {
  readonly id: number;
  readonly request: GenerateRequest;
  /** The prompt and what was generated before. */
  readonly ids: readonly number[];
  readonly vocab: number;
  readonly timers: Timers;
  readonly queue: PrefillQueue;
  readonly patience: Patience;
  readonly events: SequenceEvents;
}
