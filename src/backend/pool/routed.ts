/**
 * Several nodes behind one API: each request goes to the one that is likely to answer it first, and to another when that
 * one fails before its first byte.
 *
 * A request is never sent to the same node twice. A connection that broke does not tell whether the node had begun to
 * generate, and a single node that is down is not helped by asking again at once; its client is told when to come back.
 */
import { z } from 'zod';
import type { Provider } from '../../config/backend-config.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  MAX_MODEL_NAME_CHARS,
  MAX_ROUTE_ATTEMPTS,
  ROUTE_BACKOFF_MS,
  ROUTE_DEADLINE_MS,
} from '../../config/limits.ts';
import type { AnswerReport, Backend, RequestContext } from '../backend.ts';
import { type Clock, systemClock } from '../clock.ts';
import { LENDERS_HEADER } from '../served-by.ts';
import { allModels, nodesWith } from './models.ts';
import { noRoom } from './no-room.ts';
import type { NodePool } from './node-pool.ts';
import type { PooledNode, RoutedAttempt } from './pooled-node.ts';
import { poolReadiness } from './readiness.ts';
import {
  clientsAnswer,
  mostTelling,
  type RouteFailure,
  responseFailure,
  thrownFailure,
} from './route-failure.ts';

export interface RoutedOptions {
  readonly pool: NodePool;
  /** What `provider` of the routed backend says: that of the config. */
  readonly provider: Provider;
  readonly clock?: Clock;
  /** Uniform in [0, 1); for the pauses between tries. */
  readonly random?: () => number;
}

type Call = (backend: Backend, body: unknown, context: RequestContext) => Promise<Response>;

/** Without a model any node says what is wrong with the request. */
const modelSchema = z.object({ model: z.string().max(MAX_MODEL_NAME_CHARS) });

/** Its `close` closes the pool. */
export function createRoutedBackend({
  pool,
  provider,
  clock = systemClock,
  random = Math.random,
}: RoutedOptions): Backend {
  async function route(call: Call, body: unknown, given: RequestContext): Promise<Response> {
    const { data } = modelSchema.safeParse(body);
    const startMs = clock.now();
    const context: RequestContext = { ...given, onAnswered: asWaitedFor(given, startMs) };
    const tried = new Set<PooledNode>();
    const failures: RouteFailure[] = [];
    const giveUp = (): Promise<Response> => {
      const best = mostTelling(failures);
      for (const { outcome } of failures) {
        if (outcome instanceof Response && outcome !== best.outcome) void outcome.body?.cancel();
      }
      if (best.report) context.onAnswered?.(best.report);
      return clientsAnswer(best, failures.length);
    };
    const all = nodesWith(pool, data?.model, clock);
    const candidates = allowed(Array.isArray(all) ? all : await all, given.lenders, data?.model);
    for (;;) {
      if (context.signal.aborted) throw hungUp(context.signal.reason);
      const untried = candidates.filter((node) => !tried.has(node) && pool.has(node));
      const chosen = pool.begin(untried);
      if (chosen === undefined) {
        if (failures.length === 0) throw noRoom(untried);
        return giveUp();
      }
      tried.add(chosen.node);
      const outcome = await tryOn(chosen.node, chosen.attempt, call, body, context);
      if (outcome instanceof Response) {
        const { name, lender } = chosen.node.node;
        given.onRouted?.({ name, ...(lender && { lender }) });
        return outcome;
      }
      failures.push(outcome);
      const isLast =
        !outcome.tryAnother ||
        tried.size >= MAX_ROUTE_ATTEMPTS ||
        clock.now() - startMs > ROUTE_DEADLINE_MS ||
        !untried.some((node) => !tried.has(node) && node.admits);
      if (isLast) return giveUp();
      const pauseMs = ROUTE_BACKOFF_MS * 2 ** (tried.size - 1) * (0.5 + random() / 2);
      await clock.sleep(pauseMs, context.signal);
    }
  }

  /** A node knows the time of its own try; the client has waited for those before it too. */
  function asWaitedFor({ onAnswered }: RequestContext, startMs: number) {
    return (report: AnswerReport) => {
      const durationMs = Math.max(report.durationMs, clock.now() - startMs);
      const before = durationMs - report.durationMs;
      const { timeToFirstTokenMs: firstMs } = report;
      onAnswered?.({ ...report, durationMs, timeToFirstTokenMs: firstMs === null ? null : firstMs + before });
    };
  }

  return {
    provider,
    models: () => allModels(pool, clock),
    readiness: () => poolReadiness(pool),
    chatCompletions: (body, context) =>
      route((backend, ...request) => backend.chatCompletions(...request), body, context),
    completions: (body, context) =>
      route((backend, ...request) => backend.completions(...request), body, context),
    close: () => pool.close(),
  };
}

/** @throws MODEL_NOT_FOUND where only other lenders have it */
function allowed(
  nodes: readonly PooledNode[],
  lenders: RequestContext['lenders'],
  model = 'the model',
): readonly PooledNode[] {
  if (lenders === undefined) return nodes;
  const kept = nodes.filter(({ node }) => node.lender === undefined || lenders.has(node.lender.id));
  if (kept.length > 0 || nodes.length === 0) return kept;
  const names = [...new Set(nodes.map(({ node }) => `"${node.lender?.name}"`))].slice(0, 3).join(', ');
  throw new ShoalError(
    'MODEL_NOT_FOUND',
    `${model.slice(0, 80)} is lent by ${names} only, and this request may not go there (${LENDERS_HEADER}); allow it, or ask for another model`,
    { param: 'model' },
  );
}

const hungUp = (reason: unknown) =>
  reason instanceof ShoalError ? reason : new ShoalError('ABORTED', 'the client hung up');

/**
 * The node's answer, or why it has none. Its place is held until the node's backend reports the end of the answer, or the
 * client hangs up: the body itself passes untouched.
 */
async function tryOn(
  node: PooledNode,
  attempt: RoutedAttempt,
  call: Call,
  body: unknown,
  given: RequestContext,
): Promise<Response | RouteFailure> {
  const { signal, onAnswered } = given;
  const hungUp = () => attempt.aborted();
  signal.addEventListener('abort', hungUp, { once: true });
  let early: AnswerReport | undefined;
  let isChosen = false;
  const end = (answer: AnswerReport) => {
    signal.removeEventListener('abort', hungUp);
    attempt.answered(answer);
    onAnswered?.(answer);
  };
  const failed = (failure: RouteFailure): RouteFailure => {
    signal.removeEventListener('abort', hungUp);
    attempt.failed(failure);
    return early === undefined ? failure : { ...failure, report: early };
  };
  try {
    const response = await call(node.node.backend, body, {
      ...given,
      // Of several tries the client sees one, and that one's report is passed on.
      onAnswered: (answer) => {
        if (isChosen) end(answer);
        else early ??= answer;
      },
    });
    if (!response.ok) return failed(responseFailure(response));
    isChosen = true;
    attempt.answering();
    if (early !== undefined) end(early);
    return response;
  } catch (thrown) {
    return failed(thrownFailure(thrown));
  }
}
