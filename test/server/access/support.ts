import { pino } from 'pino';
import type { AnswerReport, Backend, RequestContext } from '../../../src/backend/backend.ts';
import { type Access, type AccessOptions, createAccess } from '../../../src/server/access/access.ts';
import { type App, createApp } from '../../../src/server/app.ts';
import { createHostGuard, type HostGuardOptions } from '../../../src/server/http/host-guard.ts';
import { Metrics } from '../../../src/server/metrics/metrics.ts';
import { RequestsInFlight } from '../../../src/server/requests-in-flight.ts';

/** Streams that end when the test says so, and answers that are there at once. */
export class HeldBackend implements Backend {
  readonly provider = 'custom';
  readonly ends: (() => void)[] = [];
  report: AnswerReport = {
    model: 'fake',
    outcome: 'stop',
    promptTokens: 3,
    completionTokens: 5,
    timeToFirstTokenMs: 20,
    durationMs: 100,
  };
  models = async () => [{ id: 'fake', created: 7, ownedBy: 'shoal' }];
  readiness = async () => ({ ready: true, detail: 'fake' });
  close = async () => {};

  chatCompletions = async (body: unknown, { signal, onAnswered }: RequestContext): Promise<Response> => {
    if (!(body as { stream?: boolean }).stream) {
      onAnswered?.(this.report);
      return Response.json({ ok: true });
    }
    const stream = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('data: 1\n\n'));
        this.ends.push(() => {
          onAnswered?.(this.report);
          controller.close();
        });
        signal.addEventListener('abort', () => controller.error(signal.reason));
      },
    });
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
  };
  completions = this.chatCompletions;
}

export interface Lines {
  readonly text: () => string;
  readonly json: () => Record<string, unknown>[];
}

export interface AccessUnderTest {
  readonly app: App;
  readonly access: Access;
  readonly backend: HeldBackend;
  readonly log: Lines;
  /** A request from an address, as the HTTP server hands it over. */
  send(path: string, init?: RequestInit, address?: string): Promise<Response>;
  chat(headers?: Record<string, string>, address?: string, body?: object): Promise<Response>;
}

export function openApp(
  options: AccessOptions,
  guardOptions: Partial<HostGuardOptions> = {},
): AccessUnderTest {
  const backend = new HeldBackend();
  let logged = '';
  const log = pino(
    {},
    {
      write(line) {
        logged += line;
      },
    },
  );
  const metrics = new Metrics({
    models: async () => (await backend.models()).map(({ id }) => id),
    provider: () => backend.provider,
    now: options.now,
  });
  const access = createAccess({ onRefused: (reason) => metrics.refused(reason), ...options });
  const app = createApp({
    serving: { backend, mesh: null, served: null, files: () => null },
    requests: new RequestsInFlight(),
    page: new Map(),
    guard: createHostGuard({ boundHost: '127.0.0.1', ...guardOptions }),
    access,
    metrics,
    nodes: () => [],
    log,
  });
  const send = async (path: string, init: RequestInit = {}, address = '127.0.0.1') => {
    const response = await app.fetch(new Request(`http://localhost:1${path}`, init), {
      incoming: { socket: { remoteAddress: address } },
    });
    // An answer counts until it is read, as the HTTP server would.
    const isStream = response.headers.get('content-type') === 'text/event-stream';
    return isStream || response.status === 204 ? response : new Response(await response.text(), response);
  };
  return {
    app,
    access,
    backend,
    log: {
      text: () => logged,
      json: () =>
        logged
          .trim()
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line)),
    },
    send,
    chat: (headers = {}, address, body = {}) =>
      send('/v1/chat/completions', { method: 'POST', headers, body: JSON.stringify(body) }, address),
  };
}

export const errorOf = async (response: Response) => (await response.json()).error;
