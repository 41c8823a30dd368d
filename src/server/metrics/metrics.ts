/**
 * `GET /metrics` in Prometheus' text format: what the server has done, and how it stands. Names are vLLM's and
 * OpenTelemetry's where they have one, so that their dashboards work; the rest is `shoal_`.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { AnswerReport } from '../../backend/backend.ts';
import type { RefusalReason } from '../access/access.ts';
import type { Exchange } from '../access/exchange.ts';
import { ANSWER_COUNTS, type AnswerCount } from '../answers/kept-answers.ts';
import type { MeshFigures } from '../mesh/told/figures.ts';
import { AnswerMetrics } from './answer-metrics.ts';
import { MeshMetrics } from './mesh-metrics.ts';
import { ModelLabels } from './model-labels.ts';
import { processMetrics } from './process-metrics.ts';
import { ServerGauges, type Snapshot } from './server-gauges.ts';

export interface MetricsOptions {
  /** Names of the models served now. */
  readonly models: () => Promise<readonly string[]>;
  /** Of what answers now. */
  readonly provider: () => string;
  readonly now: () => number;
  /** Kept now, and their bytes; absent: none ever. */
  readonly kept?: () => { readonly count: number; readonly bytes: number };
}

export interface CurrentState extends Omit<Snapshot, 'running' | 'waiting'> {
  /** Its model, generations that wait for room, and how it stands; null while none is served. */
  readonly mesh: {
    readonly model: string;
    readonly waiting: number;
    readonly figures: MeshFigures;
  } | null;
}

/** Paths of the API, so that nobody makes series by asking for others. */
const ROUTES = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/models',
  '/api/chat',
  '/api/generate',
  '/api/ps',
  '/api/pull',
  '/api/show',
  '/api/tags',
  '/api/version',
]);

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #answers = new AnswerMetrics(this.#registry);
  readonly #gauges = new ServerGauges(this.#registry);
  readonly #mesh = new MeshMetrics(this.#registry);
  readonly #labels: ModelLabels;
  readonly #open = new Set<Exchange>();
  readonly #process = processMetrics();
  readonly #requests: Counter<'route' | 'status'>;
  readonly #refused: Counter<'reason'>;
  readonly #restarts: Counter;
  readonly #kept: Counter<'what'>;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#labels = new ModelLabels(options.models, options.now);
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'shoal_http_requests_total',
      help: 'Requests to the API, by route and status.',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#refused = new Counter({
      name: 'shoal_refused_requests_total',
      help: 'Requests refused for want of a valid key (unauthorized), or beyond a limit (rate, concurrency).',
      labelNames: ['reason'],
      registers,
    });
    for (const reason of ['unauthorized', 'rate', 'concurrency'] as const) this.#refused.inc({ reason }, 0);
    this.#restarts = new Counter({
      name: 'shoal_restarts_total',
      help: 'Times that an answer went on elsewhere because its route was lost.',
      registers,
    });
    this.#kept = new Counter({
      name: 'shoal_kept_answers_total',
      help: 'Answers with an Idempotency-Key that were read on from an event (resumed), asked for again (repeated), or are kept no longer: after their time (expired), for want of room (evicted), ended because nobody read them (unread).',
      labelNames: ['what'],
      registers,
    });
    const { kept } = options;
    new Gauge({
      name: 'shoal_kept_answers',
      help: 'Answers with an Idempotency-Key that are kept now, running ones included.',
      registers,
      collect() {
        this.set(kept?.().count ?? 0);
      },
    });
    new Gauge({
      name: 'shoal_kept_answer_bytes',
      help: 'What the kept answers take.',
      registers,
      collect() {
        this.set(kept?.().bytes ?? 0);
      },
    });
    for (const what of ANSWER_COUNTS) this.#kept.inc({ what }, 0);
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** Counts a request to the API when it ends. */
  watch(exchange: Exchange, path: string): void {
    const route = ROUTES.has(path) ? path : path.startsWith('/v1/models/') ? '/v1/models/{id}' : 'other';
    let isCounted = false;
    this.#open.add(exchange);
    exchange.onReport((report) => {
      isCounted = true;
      void this.#answered(exchange, report);
    });
    exchange.onEnd(() => {
      this.#open.delete(exchange);
      this.#requests.inc({ route, status: String(exchange.status) });
      if (!isCounted && exchange.errorCode !== null) void this.#failed(exchange);
    });
  }

  refused(reason: RefusalReason): void {
    this.#refused.inc({ reason });
  }

  answerKept(what: AnswerCount): void {
    this.#kept.inc({ what });
  }

  /** @param state read for this scrape */
  async render({ mesh, ...state }: CurrentState): Promise<string> {
    await this.#labels.refresh();
    const running = new Map<string, number>();
    for (const { generation } of this.#open) {
      if (generation === null) continue;
      const model = this.#labels.labelNow(generation.model);
      running.set(model, (running.get(model) ?? 0) + 1);
    }
    const waiting = new Map<string, number>();
    if (mesh !== null) {
      waiting.set(mesh.model, mesh.waiting);
      running.set(mesh.model, Math.max(0, (running.get(mesh.model) ?? 0) - mesh.waiting));
    }
    this.#gauges.set({ ...state, running, waiting });
    this.#mesh.set(mesh?.figures ?? null);
    const texts = await Promise.all([this.#registry.metrics(), this.#process.metrics()]);
    return texts.join('\n');
  }

  async #answered({ generation, errorCode }: Exchange, report: AnswerReport): Promise<void> {
    const provider = this.#options.provider();
    const model = await this.#labels.label(report.model);
    this.#answers.answered(
      { model, operation: generation?.operation ?? 'chat', provider },
      report,
      errorCode,
    );
    if (report.restarts !== undefined) this.#restarts.inc(report.restarts);
  }

  async #failed({ generation, errorCode, startedAtMs }: Exchange): Promise<void> {
    if (generation === null || errorCode === null) return;
    const durationMs = this.#options.now() - startedAtMs;
    const provider = this.#options.provider();
    const model = await this.#labels.label(generation.model);
    this.#answers.failed({ model, operation: generation.operation, provider }, errorCode, durationMs);
  }
}
