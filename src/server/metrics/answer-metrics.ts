import { Counter, Histogram, type Registry } from 'prom-client';
import type { AnswerReport } from '../../backend/backend.ts';
import type { ErrorCode } from '../../config/errors.ts';
import type { Generation } from '../access/exchange.ts';
import {
  GEN_AI_REQUEST_DURATION,
  GEN_AI_TIME_PER_OUTPUT_TOKEN,
  GEN_AI_TIME_TO_FIRST_TOKEN,
  GEN_AI_TOKEN_USAGE,
  VLLM_REQUEST_LATENCY,
  VLLM_TIME_PER_OUTPUT_TOKEN,
  VLLM_TIME_TO_FIRST_TOKEN,
} from './buckets.ts';

/** What the series of one answer are labelled with, each from a bounded set. */
export interface AnswerLabels {
  readonly model: string;
  /** `gen_ai.operation.name` of OpenTelemetry. */
  readonly operation: Generation['operation'];
  readonly provider: string;
}

/** vLLM's `finished_reason`; what is no `length` ended by the model's own decision, a call of a tool included. */
const FINISHED_REASON = {
  stop: 'stop',
  length: 'length',
  other: 'stop',
  aborted: 'abort',
  error: 'error',
} as const satisfies Record<AnswerReport['outcome'], string>;

/** What answers cost and how fast they were, under vLLM's names and OpenTelemetry's. */
export class AnswerMetrics {
  readonly #success: Counter<'model_name' | 'finished_reason'>;
  readonly #promptTokens: Counter<'model_name'>;
  readonly #generationTokens: Counter<'model_name'>;
  readonly #latency: Histogram<'model_name'>;
  readonly #firstToken: Histogram<'model_name'>;
  readonly #perToken: Histogram<'model_name'>;
  readonly #genAiDuration: Histogram;
  readonly #genAiFirstToken: Histogram;
  readonly #genAiPerToken: Histogram;
  readonly #genAiTokens: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Counter({ name, help, labelNames, registers });
    const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: L[]) =>
      new Histogram({ name, help, buckets, labelNames, registers });

    this.#success = counter('vllm:request_success_total', 'Answers that ended, by how.', [
      'model_name',
      'finished_reason',
    ]);
    this.#promptTokens = counter('vllm:prompt_tokens_total', 'Tokens of prompts.', ['model_name']);
    this.#generationTokens = counter('vllm:generation_tokens_total', 'Tokens generated.', ['model_name']);
    this.#latency = histogram(
      'vllm:e2e_request_latency_seconds',
      'From the request to the last token.',
      VLLM_REQUEST_LATENCY,
      ['model_name'],
    );
    this.#firstToken = histogram(
      'vllm:time_to_first_token_seconds',
      'From the request to the first token.',
      VLLM_TIME_TO_FIRST_TOKEN,
      ['model_name'],
    );
    this.#perToken = histogram(
      'vllm:request_time_per_output_token_seconds',
      'Mean time of a token after the first, of each request.',
      VLLM_TIME_PER_OUTPUT_TOKEN,
      ['model_name'],
    );
    const genAi = ['gen_ai_operation_name', 'gen_ai_request_model', 'gen_ai_provider_name'];
    this.#genAiDuration = histogram(
      'gen_ai_server_request_duration_seconds',
      'From the request to the last token, or to the error.',
      GEN_AI_REQUEST_DURATION,
      [...genAi, 'error_type'],
    );
    this.#genAiFirstToken = histogram(
      'gen_ai_server_time_to_first_token_seconds',
      'From the request to the first token, of successful answers.',
      GEN_AI_TIME_TO_FIRST_TOKEN,
      genAi,
    );
    this.#genAiPerToken = histogram(
      'gen_ai_server_time_per_output_token_seconds',
      'Mean time of a token after the first, of successful answers.',
      GEN_AI_TIME_PER_OUTPUT_TOKEN,
      genAi,
    );
    this.#genAiTokens = histogram(
      'gen_ai_client_token_usage',
      'Tokens of a request (input) and its answer (output).',
      GEN_AI_TOKEN_USAGE,
      [...genAi, 'gen_ai_token_type'],
    );
  }

  answered(labels: AnswerLabels, report: AnswerReport, errorCode: ErrorCode | null): void {
    const vllm = { model_name: labels.model };
    const genAi = genAiLabels(labels);
    const { outcome, promptTokens, completionTokens, timeToFirstTokenMs, durationMs } = report;
    const isSuccess = outcome !== 'error' && outcome !== 'aborted';

    this.#success.inc({ ...vllm, finished_reason: FINISHED_REASON[outcome] });
    this.#latency.observe(vllm, durationMs / 1_000);
    this.#genAiDuration.observe(
      isSuccess
        ? genAi
        : { ...genAi, error_type: errorCode ?? (outcome === 'aborted' ? 'ABORTED' : '_OTHER') },
      durationMs / 1_000,
    );
    if (promptTokens !== null) {
      this.#promptTokens.inc(vllm, promptTokens);
      this.#genAiTokens.observe({ ...genAi, gen_ai_token_type: 'input' }, promptTokens);
    }
    if (completionTokens !== null) {
      this.#generationTokens.inc(vllm, completionTokens);
      this.#genAiTokens.observe({ ...genAi, gen_ai_token_type: 'output' }, completionTokens);
    }
    if (timeToFirstTokenMs === null) return;
    this.#firstToken.observe(vllm, timeToFirstTokenMs / 1_000);
    if (isSuccess) this.#genAiFirstToken.observe(genAi, timeToFirstTokenMs / 1_000);
    if (completionTokens === null || completionTokens < 2) return;
    const perToken = (durationMs - timeToFirstTokenMs) / 1_000 / (completionTokens - 1);
    this.#perToken.observe(vllm, perToken);
    if (isSuccess) this.#genAiPerToken.observe(genAi, perToken);
  }

  /** Refused or failed before anything was answered. */
  failed(labels: AnswerLabels, errorCode: ErrorCode, durationMs: number): void {
    this.#genAiDuration.observe({ ...genAiLabels(labels), error_type: errorCode }, durationMs / 1_000);
  }
}

const genAiLabels = ({ model, operation, provider }: AnswerLabels) => ({
  gen_ai_operation_name: operation,
  gen_ai_request_model: model,
  gen_ai_provider_name: provider,
});
