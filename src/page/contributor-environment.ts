import { browserTab, type TabEnvironment } from '../worker/tab/tab-environment.ts';

/** What a contributor takes from the browser; tests pass their own. */
export interface ContributorEnvironment extends TabEnvironment {
  readonly isSecureContext: boolean;
  /** @returns the function that stops listening */
  readonly onPageHide: (hidden: () => void) => () => void;
  /** Keeps a hidden tab from being frozen. @returns the function that releases it */
  readonly holdAwake: () => () => void;
}

export function browserEnvironment(): ContributorEnvironment {
  return {
    ...browserTab(),
    isSecureContext: globalThis.isSecureContext,
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
