import type { OpenNegotiatedPeer } from '../mesh/negotiated-peer.ts';
import type { WebSocketLike } from '../mesh/reconnecting-socket.ts';
import { systemTimers, type Timers } from '../mesh/timers.ts';

/** What a contributor takes from the browser; tests pass their own. */
export interface ContributorEnvironment {
  readonly isSecureContext: boolean;
  readonly openSocket: (url: string) => WebSocketLike;
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** @returns the function that stops listening */
  readonly onPageHide: (hidden: () => void) => () => void;
  /** Keeps a hidden tab from being frozen. @returns the function that releases it */
  readonly holdAwake: () => () => void;
  readonly openPeer?: OpenNegotiatedPeer;
}

export function browserEnvironment(): ContributorEnvironment {
  return {
    isSecureContext: globalThis.isSecureContext,
    // The browser's type fits; its handlers are declared with more of the event than is used.
    openSocket: (url) => new WebSocket(url) as unknown as WebSocketLike,
    timers: systemTimers,
    random: Math.random,
    onPageHide: (hidden) => {
      addEventListener('pagehide', hidden);
      return () => removeEventListener('pagehide', hidden);
    },
    holdAwake,
  };
}

/** Chrome does not freeze a page that holds a Web Lock; shared, so that several tabs can hold it. */
function holdAwake(): () => void {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  // Refused in opaque origins: then the tab serves while it is visible.
  navigator.locks?.request('shoal-contributing', { mode: 'shared' }, () => released).catch(() => {});
  return release;
}
