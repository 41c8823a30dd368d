/** `shoal/mesh`: joins a page of one's own to a Shoal server, as a worker of its mesh or only to look on. */
export { type ErrorCode, ShoalError } from '../config/errors.ts';
export type { Capability, PeerMessage, ServerMessage, StageInfo } from '../mesh/protocol/control.ts';
export type { ConnectionState } from '../mesh/server-connection.ts';
export { SignalingClient, type SignalingClientOptions, type Welcome } from '../mesh/signaling-client.ts';
export { systemTimers, type Timers } from '../mesh/timers.ts';
export { Contributor } from '../page/contributor.ts';
export type {
  ContributorHandle,
  ContributorOptions,
  ContributorPhase,
  ContributorState,
} from '../page/contributor-state.ts';
