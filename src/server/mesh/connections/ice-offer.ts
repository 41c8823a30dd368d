/** Which ICE servers a peer is told of: those that anyone may use at once, those with credentials when it is to have links. */
import type { ServerMessage } from '../../../mesh/protocol/control.ts';
import { type TurnServers, turnCredentials } from './turn.ts';

export type IceServers = Extract<ServerMessage, { type: 'welcome' }>['iceServers'];

export interface IceOptions {
  /** For the tabs' connections to each other; empty: only addresses they can reach directly. */
  readonly iceServers: IceServers;
  /** Their credentials are made for each worker, and end. */
  readonly turn?: TurnServers;
  /** Milliseconds since the Unix epoch. */
  readonly epochMs?: () => number;
}

/** For whoever says hello: relays cost their owner traffic, and are for workers alone. */
export function iceForAnyone({ iceServers }: IceOptions): IceServers {
  return iceServers.filter(({ credential }) => credential === undefined);
}

/** For a worker; null: what anyone is told is all there is. */
export function iceForWorker(
  { iceServers, turn, epochMs = Date.now }: IceOptions,
  peer: string,
): IceServers | null {
  const own = turn === undefined ? [] : [turnCredentials(turn, peer, epochMs())];
  const hasMore = own.length > 0 || iceServers.some(({ credential }) => credential !== undefined);
  return hasMore ? [...iceServers, ...own] : null;
}
