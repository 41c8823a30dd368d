/** What worker health is told, and what it says. Peers are named by their ids. */
import type { SignPace } from './signs-of-life.ts';

/** One stage of a round: what it should have taken, from what its worker says of its speed. */
export interface RoundStage {
  readonly peer: string;
  readonly expectedMs: number;
}

/** What only a worker that is broken, or means it, does. */
export type Misbehaviour =
  | 'token-out-of-vocabulary'
  | 'wrong-token'
  | 'non-finite'
  | 'broken-protocol'
  | 'flood';

export type HealthEvent =
  /** It offers its device. `address`: what one machine, or one household, is counted as; null: not known. */
  | { readonly kind: 'joined'; readonly peer: string; readonly address: string | null }
  /** It is no worker any more, or gone. */
  | { readonly kind: 'gone'; readonly peer: string }
  /** Its page's own code said something. */
  | { readonly kind: 'heard'; readonly peer: string }
  /** How often it speaks from here on. */
  | { readonly kind: 'paced'; readonly peer: string; readonly pace: SignPace }
  | { readonly kind: 'loaded'; readonly peer: string }
  | { readonly kind: 'load-failed'; readonly peer: string; readonly isTooSlow: boolean }
  /** `by` says that its link to `about` is silent or down. */
  | { readonly kind: 'link-reported'; readonly by: string; readonly about: string }
  /** They did not answer `open` in time. */
  | { readonly kind: 'not-opened'; readonly peers: readonly string[] }
  /** It reports failures of its own, or its answers do not fit; once may be chance, which is for who notes it to judge. */
  | { readonly kind: 'failed'; readonly peer: string }
  /** `by` refuses what `about` sent it. `how`: what that is, where it is no accident. */
  | {
      readonly kind: 'accused';
      readonly by: string;
      readonly about: string;
      readonly how: Misbehaviour | null;
    }
  | { readonly kind: 'misbehaved'; readonly peer: string; readonly how: Misbehaviour }
  /** Again and again it no longer had what ran on it, as it says of itself, and no token came between. */
  | { readonly kind: 'losing'; readonly peer: string }
  /** No token came round, and nobody says why. */
  | { readonly kind: 'stalled'; readonly peers: readonly string[] }
  /** A token came the whole way round. `sharing`: sequences that the stages computed meanwhile, this one included. */
  | {
      readonly kind: 'served';
      readonly stages: readonly RoundStage[];
      readonly elapsedMs: number;
      readonly sharing: number;
    }
  /** It computed tokens of a probe: as others do, or where nobody can check it. `isVouched`: another that is not it says the same. */
  | { readonly kind: 'proved'; readonly peer: string; readonly isVouched: boolean }
  /** It computed other tokens than another did, which may be either's doing, or their adapters'. */
  | { readonly kind: 'doubted'; readonly peer: string };

/**
 * `newcomer`: nothing is known of it. `trusted`: it has served, or proved that it computes. `suspected`: something failed,
 * and it may be to blame. `excluded`: it failed.
 */
export type TrustState = 'newcomer' | 'trusted' | 'suspected' | 'excluded';

export interface Trust {
  readonly state: TrustState;
  /** Until when, where it ends by itself. */
  readonly untilMs: number | null;
  /** In our words, never in a worker's; null where nothing is wrong. */
  readonly reason: string | null;
  /** Nothing was heard of it lately. */
  readonly isSilent: boolean;
}

/** A peer is kept out from now on; what it holds and computes should go to others. */
export interface Verdict {
  readonly peer: string;
  readonly untilMs: number;
  readonly reason: string;
}

/** `replica`: beside others that hold the same, alone only where nobody else can. `if-needed`: only where the rest cannot serve. */
export type MayHold = 'yes' | 'replica' | 'if-needed' | 'no';

/** `after-probe`: once a known token went through it. `if-needed`: only where no other route serves. */
export type MayServe = 'yes' | 'after-probe' | 'if-needed' | 'no';
