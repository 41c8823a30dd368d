import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { AnswerReport } from '../../../src/backend/backend.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { MAX_MODEL_LABELS, MODEL_LABELS_REFRESH_MS } from '../../../src/config/limits.ts';
import type { WorkerStatus } from '../../../src/mesh/protocol/status.ts';
import { hashApiKey, newApiKey } from '../../../src/server/access/api-key.ts';
import { KeyRing } from '../../../src/server/access/key-ring.ts';
import type { MeshFigures } from '../../../src/server/mesh/told/figures.ts';
import { type CurrentState, Metrics } from '../../../src/server/metrics/metrics.ts';
import { ModelLabels } from '../../../src/server/metrics/model-labels.ts';
import { openApp } from '../access/support.ts';
import { readExposition, sampleValue } from './exposition.ts';

const now = () => 1_000;
const CHAT = { gen_ai_operation_name: 'chat', gen_ai_request_model: 'fake', gen_ai_provider_name: 'custom' };

async function scrape(send: ReturnType<typeof openApp>['send']) {
  const response = await send('/metrics');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return readExposition(await response.text());
}

describe('/metrics', () => {
  it('counts answers under vLLM’s names and OpenTelemetry’s', async () => {
    const { chat, send, backend } = openApp({ now });
    const answer = async (report: Partial<AnswerReport>) => {
      backend.report = { ...backend.report, ...report };
      await chat({}, undefined, { model: 'fake' });
    };
    await answer({});
    await answer({ outcome: 'length', timeToFirstTokenMs: null });
    await answer({ outcome: 'aborted', promptTokens: null, completionTokens: null, restarts: 2 });
    const samples = await scrape(send);
    const value = (name: string, labels?: Record<string, string>) => sampleValue(samples, name, labels);

    expect(value('vllm:prompt_tokens_total', { model_name: 'fake' })).toBe(6);
    expect(value('vllm:generation_tokens_total')).toBe(10);
    expect(value('vllm:request_success_total', { finished_reason: 'stop' })).toBe(1);
    expect(value('vllm:request_success_total', { finished_reason: 'length' })).toBe(1);
    expect(value('vllm:request_success_total', { finished_reason: 'abort' })).toBe(1);
    expect(value('vllm:e2e_request_latency_seconds_count')).toBe(3);
    expect(value('vllm:e2e_request_latency_seconds_sum')).toBeCloseTo(0.3);
    expect(value('vllm:time_to_first_token_seconds_count')).toBe(1);
    expect(value('vllm:time_to_first_token_seconds_bucket', { le: '0.01' })).toBe(0);
    expect(value('vllm:time_to_first_token_seconds_bucket', { le: '0.02' })).toBe(1);
    // (100 ms − 20 ms) over the four tokens after the first.
    expect(value('vllm:request_time_per_output_token_seconds_sum')).toBeCloseTo(0.02);
    expect(value('gen_ai_server_time_per_output_token_seconds_sum', CHAT)).toBeCloseTo(0.02);
    expect(value('gen_ai_server_time_to_first_token_seconds_count', CHAT)).toBe(1);
    expect(value('gen_ai_server_request_duration_seconds_count', { ...CHAT, error_type: 'ABORTED' })).toBe(1);
    expect(value('gen_ai_client_token_usage_sum', { ...CHAT, gen_ai_token_type: 'input' })).toBe(6);
    expect(value('gen_ai_client_token_usage_sum', { ...CHAT, gen_ai_token_type: 'output' })).toBe(10);
    expect(value('shoal_http_requests_total', { route: '/v1/chat/completions', status: '200' })).toBe(3);
    expect(value('shoal_restarts_total')).toBe(2);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  it('counts what failed, by error and route, and nothing that a client may name', async () => {
    const { chat, send, backend } = openApp({ now, requestsPerMinute: 4 });
    backend.chatCompletions = async () => {
      throw new ShoalError('BACKEND_FAILED', 'broken');
    };
    await chat({}, undefined, { model: 'fake' });
    await chat({}, undefined, { model: 'made-up-by-a-client' });
    await send('/v1/made-up-path');
    await send('/v1/models/made-up-model');
    expect((await chat()).status).toBe(429);
    const response = await send('/metrics');
    const text = await response.text();
    expect(text).not.toContain('made-up');
    const samples = readExposition(text);
    const failed = { gen_ai_operation_name: 'chat', error_type: 'BACKEND_FAILED' };
    const duration = 'gen_ai_server_request_duration_seconds_count';
    expect(sampleValue(samples, duration, { ...failed, gen_ai_request_model: 'fake' })).toBe(1);
    expect(sampleValue(samples, duration, { ...failed, gen_ai_request_model: 'other' })).toBe(1);
    const requests = (route: string, status: string) =>
      sampleValue(samples, 'shoal_http_requests_total', { route, status });
    expect(requests('/v1/chat/completions', '502')).toBe(2);
    expect(requests('/v1/chat/completions', '429')).toBe(1);
    expect(requests('other', '404')).toBe(1);
    expect(requests('/v1/models/{id}', '404')).toBe(1);
    expect(sampleValue(samples, 'shoal_refused_requests_total', { reason: 'rate' })).toBe(1);
    expect(sampleValue(samples, 'shoal_refused_requests_total', { reason: 'concurrency' })).toBe(0);
  });

  it('counts each of Ollama’s routes by its name', async () => {
    const { send } = openApp({ now });
    const paths = ['/api/tags', '/api/ps', '/api/version', '/api/show', '/api/pull', '/api/made-up'];
    for (const path of paths) await send(path, /show|pull/.test(path) ? { method: 'POST', body: '{}' } : {});
    const samples = readExposition(await (await send('/metrics')).text());
    const counted = (route: string) => sampleValue(samples, 'shoal_http_requests_total', { route });
    expect(paths.map(counted)).toEqual([1, 1, 1, 1, 1, undefined]);
    expect(counted('other')).toBe(1);
  });

  it('tells what runs now', async () => {
    const { chat, send, backend } = openApp({ now });
    const stream = await chat({}, undefined, { model: 'fake', stream: true });
    const running = async () =>
      sampleValue(await scrape(send), 'vllm:num_requests_running', { model_name: 'fake' });
    expect(await running()).toBe(1);
    backend.ends[0]!();
    await stream.text();
    expect(await running()).toBeUndefined();
  });

  it('asks for a key where the API does, and tells none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-metrics-'));
    try {
      const key = newApiKey();
      const file = join(folder, 'keys.json');
      const sha256 = hashApiKey(key).toString('hex');
      const created = '2026-01-31T12:00:00Z';
      writeFileSync(file, JSON.stringify({ version: 1, keys: [{ name: 'alice', sha256, created }] }));
      const log = pino({ level: 'silent' });
      const { chat, send } = openApp({ keys: new KeyRing({ file, now, log }), now });
      const headers = { authorization: `Bearer ${key}` };
      await chat(headers);
      await chat({ authorization: 'Bearer wrong-key' });
      expect((await send('/metrics')).status).toBe(401);
      const text = await (await send('/metrics', { headers })).text();
      expect(
        sampleValue(readExposition(text), 'shoal_refused_requests_total', { reason: 'unauthorized' }),
      ).toBe(2);
      for (const secret of [key, sha256, 'wrong-key', 'alice']) expect(text).not.toContain(secret);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const HOP = {
  uploadMs: 1,
  computeMs: 2,
  readbackMs: 3,
  packMs: 4,
  unpackMs: 5,
  wireRttMs: 6,
  bytesPerToken: 7,
};
const FIGURES: MeshFigures = {
  replicas: [1, 2, 3],
  links: { up: 4, silent: 1, down: 0, unknown: 2 },
  spectators: 5,
  away: 1,
  stageSeconds: [0.01, 0.03],
  roundTripSeconds: [],
  predictionErrors: { speed: [0.4, 0.1, 0.2], firstToken: [] },
  failovers: 6,
  replayedPositions: 70,
  crossings: 2,
  loadedBytes: 800,
  loadedAgainBytes: 90,
};
const worker = (peer: string, state: string, hop: WorkerStatus['hop']): WorkerStatus => ({
  peer,
  name: `name of ${peer}`,
  state,
  layers: null,
  adapter: null,
  gemvMacsPerSecond: null,
  tokensPerSecond: 0,
  downloadedBytes: 0,
  hop,
  problem: null,
});

describe('the gauges', () => {
  it('show the mesh and the nodes as they are, and forget what is gone', async () => {
    const metrics = new Metrics({ models: async () => ['m'], provider: () => 'fxn', now });
    const stages = ['a', 'b'].map((peer) => ({
      peer,
      name: peer,
      shard: { start: 0, end: 1, embedding: true, head: true },
    }));
    const state: CurrentState = {
      status: {
        ready: true,
        pipeline: { epoch: 1, stages },
        workers: [worker('a', 'serving', HOP), worker('b', 'serving', null), worker('c', 'joined', null)],
      },
      nodes: [
        { provider: 'vllm', state: 'ready', inFlight: 2 },
        { provider: 'vllm', state: 'ready', inFlight: 1 },
        { provider: 'vllm', state: 'failing', inFlight: 0 },
      ],
      isDraining: true,
      mesh: { model: 'm', waiting: 3, figures: FIGURES },
    };
    let samples = readExposition(await metrics.render(state));
    const value = (name: string, labels?: Record<string, string>) => sampleValue(samples, name, labels);
    expect(value('shoal_workers', { state: 'serving' })).toBe(2);
    expect(value('shoal_workers', { state: 'joined' })).toBe(1);
    expect(value('shoal_pipeline_stages')).toBe(2);
    expect(value('shoal_hop_seconds', { stage: '0', part: 'wire_round_trip' })).toBe(0.006);
    expect(value('shoal_hop_token_bytes', { stage: '0' })).toBe(7);
    expect(value('shoal_nodes', { provider: 'vllm', state: 'ready' })).toBe(2);
    expect(value('shoal_nodes', { state: 'failing' })).toBe(1);
    expect(value('shoal_node_requests', { provider: 'vllm' })).toBe(3);
    expect(value('shoal_ready')).toBe(1);
    expect(value('shoal_draining')).toBe(1);
    expect(value('vllm:num_requests_waiting', { model_name: 'm' })).toBe(3);
    expect(value('shoal_layer_replicas', { stat: 'min' })).toBe(1);
    expect(value('shoal_layer_replicas', { stat: 'mean' })).toBe(2);
    expect(value('shoal_links', { state: 'up' })).toBe(4);
    expect(value('shoal_links', { state: 'down' })).toBe(0);
    expect(value('shoal_spectators')).toBe(5);
    expect(value('shoal_away_workers')).toBe(1);
    expect(value('shoal_stage_seconds', { stat: 'mean' })).toBeCloseTo(0.02);
    expect(value('shoal_stage_seconds', { stat: 'max' })).toBe(0.03);
    expect(value('shoal_link_round_trip_seconds')).toBeUndefined();
    expect(value('shoal_failovers_total')).toBe(6);
    expect(value('shoal_replayed_positions_total')).toBe(70);
    expect(value('shoal_class_crossings_total')).toBe(2);
    const speed = (stat: string) => value('shoal_prediction_error_ratio', { of: 'speed', stat });
    expect([speed('median'), speed('max'), speed('last')]).toEqual([0.2, 0.4, 0.2]);
    expect(value('shoal_prediction_error_ratio', { of: 'first_token', stat: 'last' })).toBeUndefined();
    expect(value('shoal_loaded_bytes_total')).toBe(800);
    expect(value('shoal_loaded_again_bytes_total')).toBe(90);
    // Totals are the mesh's own: another scrape does not add them again.
    samples = readExposition(await metrics.render(state));
    expect(value('shoal_failovers_total')).toBe(6);

    const idle = {
      ...state,
      status: { ready: false, pipeline: null, workers: [] },
      nodes: [],
      isDraining: false,
    };
    samples = readExposition(await metrics.render({ ...idle, mesh: null }));
    expect(value('shoal_workers', { state: 'serving' })).toBeUndefined();
    expect(value('shoal_nodes')).toBeUndefined();
    expect(value('shoal_hop_seconds')).toBeUndefined();
    expect(value('shoal_layer_replicas')).toBeUndefined();
    expect(value('shoal_links')).toBeUndefined();
    expect([value('shoal_ready'), value('shoal_draining'), value('shoal_pipeline_stages')]).toEqual([
      0, 0, 0,
    ]);
  });
});

describe('docs/METRICS.md', () => {
  it('names each of ours, and none that is not there', async () => {
    const metrics = new Metrics({ models: async () => [], provider: () => 'fxn', now });
    const text = await metrics.render({
      status: { ready: false, pipeline: null, workers: [] },
      nodes: [],
      isDraining: false,
      mesh: null,
    });
    const declared = [...text.matchAll(/^# TYPE (shoal_\w+)/gm)].map(([, name]) => name!);
    const page = readFileSync(new URL('../../../docs/METRICS.md', import.meta.url), 'utf8');
    const told = [...page.matchAll(/^\| `(shoal_\w+)`/gm)].map(([, name]) => name!);
    expect(told.toSorted()).toEqual(declared.toSorted());
  });

  it('is right that the mesh makes no more series when it grows', async () => {
    const series = async (size: number) => {
      const metrics = new Metrics({ models: async () => ['m'], provider: () => 'fxn', now });
      const many = Array.from({ length: size }, (_, index) => index + 1);
      const text = await metrics.render({
        status: {
          ready: false,
          pipeline: null,
          workers: many.map((index) => worker(`p-${index}`, 'serving', HOP)),
        },
        nodes: [],
        isDraining: false,
        mesh: {
          model: 'm',
          waiting: 0,
          figures: { ...FIGURES, replicas: many, stageSeconds: many, roundTripSeconds: many },
        },
      });
      return readExposition(text).filter(({ name }) => name.startsWith('shoal_')).length;
    };
    expect(await series(10_000)).toBe(await series(1));
  });
});

describe('labels of models', () => {
  it('are those that the backend lists, up to a bound, asked for now and then', async () => {
    let time = 0;
    let asked = 0;
    let names = ['a'];
    const labels = new ModelLabels(
      async () => {
        asked++;
        return names;
      },
      () => time,
    );
    expect(await labels.label('a')).toBe('a');
    expect(await labels.label(undefined)).toBe('a');
    names = ['b', ...Array.from({ length: MAX_MODEL_LABELS }, (_, i) => `m${i}`)];
    expect(await labels.label('b')).toBe('other');
    expect(asked).toBe(1);
    time += MODEL_LABELS_REFRESH_MS;
    expect(await labels.label('b')).toBe('b');
    expect(labels.labelNow('a')).toBe('a');
    expect(labels.labelNow(`m${MAX_MODEL_LABELS - 1}`)).toBe('other');
    expect(labels.labelNow(undefined)).toBe('other');
  });

  it('survive a backend that is down', async () => {
    const labels = new ModelLabels(
      async () => {
        throw new Error('down');
      },
      () => 0,
    );
    expect(await labels.label('a')).toBe('other');
  });
});
