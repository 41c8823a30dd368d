import { type Logger, pino } from 'pino';
import type { Backend } from '../../src/backend/backend.ts';
import { createAccess } from '../../src/server/access/access.ts';
import type { KeptAnswers } from '../../src/server/answers/kept-answers.ts';
import { type App, createApp } from '../../src/server/app.ts';
import { createHostGuard } from '../../src/server/http/host-guard.ts';
import { Metrics } from '../../src/server/metrics/metrics.ts';
import { RequestsInFlight } from '../../src/server/requests-in-flight.ts';

export interface NativeApp {
  readonly app: App;
  /** Requests that have not ended. */
  readonly requests: RequestsInFlight;
  send(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** All of the server's HTTP in front of a backend, without sockets, keys and limits. */
export function nativeApp(
  backend: Backend,
  options: { readonly isStrict?: boolean; readonly log?: Logger; readonly answers?: KeptAnswers } = {},
): NativeApp {
  const requests = new RequestsInFlight();
  const now = () => performance.now();
  const app = createApp({
    serving: { backend, mesh: null, served: null, files: () => null },
    requests,
    page: new Map(),
    guard: createHostGuard({ boundHost: '127.0.0.1' }),
    access: createAccess({ now }),
    metrics: new Metrics({ models: async () => ['fake'], provider: () => backend.provider, now }),
    nodes: () => [],
    ...(options.answers && { answers: options.answers }),
    isStrict: options.isStrict ?? false,
    log: options.log ?? pino({ level: 'silent' }),
  });
  const send = async (path: string, init: RequestInit = {}) =>
    app.fetch(new Request(`http://localhost:1${path}`, init), {
      incoming: { socket: { remoteAddress: '127.0.0.1' } },
    });
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    send(path, { ...init, method: 'POST', body: JSON.stringify(body) });
  return { app, requests, send, post };
}
