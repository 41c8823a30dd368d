/** All of the server's HTTP: the OpenAI API, health, status, the model's files and the page. Tested without sockets. */
import { type Context, Hono } from 'hono';
import type { Logger } from 'pino';
import type { Readiness } from '../backend/backend.ts';
import { openAiErrorResponse } from '../backend/openai/error.ts';
import { WARNING_HEADER } from '../backend/openai/unknown-parameters.ts';
import type { NodeStatus } from '../backend/pool/node-pool.ts';
import { ShoalError } from '../config/errors.ts';
import { MISSING_PAGE_REMEDY } from '../config/installation.ts';
import { VERSION } from '../config/version.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { systemTimers } from '../mesh/timers.ts';
import type { Access } from './access/access.ts';
import { exchanges } from './access/exchange.ts';
import { GENERATING_PATHS } from './access/generation.ts';
import { logExchange } from './access/request-log.ts';
import { endAnswer } from './answers/end-answer.ts';
import { KeptAnswers } from './answers/kept-answers.ts';
import { createAnswering } from './api/answering.ts';
import { ollamaErrorResponse, ollamaRoutes } from './api/ollama/routes.ts';
import { openAiRoutes } from './api/openai-routes.ts';
import { openApiDocument } from './api/openapi.ts';
import { closeWhileDraining } from './draining.ts';
import { modelRoutes } from './files/model-routes.ts';
import type { PageFiles } from './files/page-files.ts';
import { pageResponse } from './files/page-response.ts';
import { healthRoutes } from './health-routes.ts';
import { allowedMethods } from './http/allowed-methods.ts';
import { compressDocuments } from './http/documents.ts';
import type { HostGuard } from './http/host-guard.ts';
import { refuseStrangers } from './http/refuse-strangers.ts';
import { securityHeaders } from './http/security-headers.ts';
import { shareWithListed } from './http/share-with-listed.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { RequestsInFlight } from './requests-in-flight.ts';
import type { Serving } from './serving.ts';
import { SharedStatus, withOwn } from './shared-status.ts';

export interface AppOptions {
  /** Asked anew by each request: what is served may change. */
  readonly serving: Pick<Serving, 'backend' | 'mesh' | 'served' | 'files'>;
  readonly requests: RequestsInFlight;
  readonly page: PageFiles;
  readonly guard: HostGuard;
  readonly access: Access;
  readonly metrics: Metrics;
  /** Default: kept in memory. */
  readonly answers?: KeptAnswers;
  /** What requests are routed to now. */
  readonly nodes: () => readonly NodeStatus[];
  /** Whether a parameter that nobody here knows refuses the request. Default false: it is ignored, and the client told. */
  readonly isStrict?: boolean;
  readonly log: Logger;
}

export interface App {
  readonly fetch: (request: Request, env?: object) => Response | Promise<Response>;
  status(signal: AbortSignal): Promise<Status>;
}

const OLLAMA_API = '/api';
/** What needs a key where there are keys, counts against limits, and is open to listed sites. */
const API_PATHS = ['/v1/*', `${OLLAMA_API}/*`];

export function createApp({
  serving,
  requests,
  page,
  guard,
  access,
  metrics,
  answers = new KeptAnswers({ timers: systemTimers }),
  nodes,
  isStrict,
  log,
}: AppOptions): App {
  const app = new Hono();
  const { backend } = serving;

  const readiness = async (signal: AbortSignal): Promise<Readiness> =>
    requests.isTaking
      ? backend.readiness(signal)
      : { ready: false, detail: `shutting down; answers on their way: ${requests.count}` };

  const status = async (signal: AbortSignal): Promise<Status> => {
    const { ready, detail } = await readiness(signal);
    const { mesh, served } = serving;
    return {
      provider: backend.provider,
      ready,
      detail,
      model: served
        ? {
            id: served.model,
            layers: served.spec.layers,
            contextLength: served.spec.contextLength,
            share: mesh?.share ?? null,
          }
        : null,
      pipeline: mesh?.pipeline() ?? null,
      loading: mesh?.loading() ?? null,
      predicted: null,
      measured: null,
      ...mesh?.forecast(),
      recovery: mesh?.recovery() ?? null,
      workers: [],
      layers: null,
      ...mesh?.rows(),
      routes: mesh?.routesInUse() ?? null,
      nodes: nodes(),
      requestsInFlight: requests.count,
    };
  };

  const shared = new SharedStatus(status, () => performance.now());

  app.use(
    exchanges({
      now: () => performance.now(),
      newId: () => crypto.randomUUID(),
      onEnd: (exchange, request) => {
        logExchange(log, exchange, request, performance.now() - exchange.startedAtMs);
      },
    }),
  );
  app.use(securityHeaders);
  app.use(closeWhileDraining(requests));
  app.use(refuseStrangers(guard));

  compressDocuments(app);
  // Shares a prefix with Ollama's API but not its keys: the page polls it.
  app.get('/api/status', async (c) => {
    const own = c.req.query('peer');
    const found = withOwn(
      await shared.get(c.req.raw.signal),
      own === undefined ? null : serving.mesh?.rowsOf(own),
    );
    return c.json(found, 200, { 'cache-control': 'no-store' });
  });
  // Before keys and limits: one of them shares the API's prefix.
  app.route('/', healthRoutes(readiness));
  const hasProxies = () => nodes().some(({ provider }) => provider !== 'fxn');
  const answering = createAnswering(backend, requests, hasProxies, answers, isStrict);
  for (const path of [...API_PATHS, '/models/*']) app.use(path, shareWithListed(guard));
  for (const path of API_PATHS)
    app.use(path, (c, next) => {
      metrics.watch(c.get('exchange'), c.req.path);
      return next();
    });
  // After CORS, which answers preflights itself: a browser sends no key with them.
  for (const path of API_PATHS) app.use(path, access.requireKey, access.limitUse);
  for (const path of GENERATING_PATHS) app.delete(path, endAnswer(answers));
  app.route('/v1', openAiRoutes(backend, answering));
  app.route(OLLAMA_API, ollamaRoutes(backend, answering));
  app.route('/models', modelRoutes(serving));
  app.get('/version', (c) => c.json({ version: VERSION }));
  app.get('/metrics', access.requireKey, async (c) => {
    const { mesh, served } = serving;
    const text = await metrics.render({
      status: await status(c.req.raw.signal),
      nodes: nodes(),
      isDraining: !requests.isTaking,
      mesh: mesh && served && { model: served.model, waiting: mesh.waiting, figures: mesh.figures() },
    });
    return c.text(text, 200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' });
  });
  app.get('/openapi.json', (c) =>
    c.json(openApiDocument(backend.provider, serving.served?.model ?? 'model'), 200, {
      'cache-control': 'no-cache',
    }),
  );
  app.get('*', (c) => {
    const header = (name: string) => c.req.header(name);
    return pageResponse(page, { path: c.req.path, header }) ?? notFound(c, page);
  });
  app.notFound((c) => notFound(c, page));
  app.onError((thrown, c) => {
    const error = publicError(thrown, log);
    const exchange = c.get('exchange');
    exchange.errorCode = error.code;
    const openAi = openAiErrorResponse(error);
    const isOllamas = c.req.path.startsWith(`${OLLAMA_API}/`);
    const response = isOllamas ? ollamaErrorResponse(openAi, error.message) : openAi;
    if (exchange.warning !== null) response.headers.set(WARNING_HEADER, exchange.warning);
    return response;
  });
  return { fetch: (request, env) => app.fetch(request, env), status };
}

function notFound(c: Context, page: PageFiles): Response {
  const { method, path } = c.req;
  const allow = allowedMethods(path);
  if (allow !== null && !allow.split(', ').includes(method)) {
    const refusal = openAiErrorResponse(
      new ShoalError('METHOD_NOT_ALLOWED', `${path.slice(0, 200)} does not take ${method}; use ${allow}`),
    );
    refusal.headers.set('allow', allow);
    return refusal;
  }
  const isUnbuilt = path === '/' && page.size === 0;
  return openAiErrorResponse(
    isUnbuilt
      ? new ShoalError(
          'NOT_FOUND',
          `this server has no page; ${MISSING_PAGE_REMEDY}, and start the server again`,
        )
      : new ShoalError('NOT_FOUND', `there is no ${method} ${path.slice(0, 200)} here`),
  );
}

/** What is no ShoalError is a fault of ours: its text goes to the log, not to a client. */
function publicError(thrown: unknown, log: Logger): ShoalError {
  if (thrown instanceof ShoalError) {
    if (thrown.httpStatus >= 500) log.warn({ code: thrown.code }, thrown.toOthers);
    return thrown;
  }
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new ShoalError('ABORTED', 'the client hung up');
  }
  log.error({ err: thrown }, 'a request failed');
  return new ShoalError('INTERNAL', 'the server failed on this request; its log has the reason');
}
