/** Resolves after `ms`, or at once when `signal` aborts (the caller knows which by looking at the signal). */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export const sleepWithTimer: Sleep = (ms, signal) =>
  new Promise((done) => {
    if (signal.aborted) return done();
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish);
  });
