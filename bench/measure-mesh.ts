import { setTimeout as delay } from 'node:timers/promises';
import { STATS_INTERVAL_MS } from '../src/config/limits.ts';
import { type MeshSettings, MeshUnderTest } from './mesh-under-test.ts';

export interface BenchSizes {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly repeats: number;
}

/** One row of the table: a pipeline of K stages. Times in ms; medians over the repeats. */
export interface MeshResult {
  readonly workers: number;
  readonly layers: readonly string[];
  readonly adapter: string;
  readonly isFallback: boolean;
  readonly loadMs: number;
  readonly downloadedBytes: number;
  /** Prompt tokens over the time to the first token. */
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly msPerToken: number;
  /** Sums over the stages of one decode step; wire: half the links' ping round trips, K hops (one back to the start). */
  readonly perToken: {
    readonly uploadMs: number;
    readonly computeMs: number;
    readonly readbackMs: number;
    readonly packMs: number;
    readonly wireMs: number;
    readonly unpackMs: number;
  };
  /** Bytes of one token on all links together. */
  readonly wireBytesPerToken: number;
}

/** Measures one pipeline: load, a warm-up, then prefill and decode. */
export async function measureMesh(settings: MeshSettings, sizes: BenchSizes): Promise<MeshResult> {
  const mesh = await MeshUnderTest.start(settings);
  try {
    // Any ids do: the work does not depend on them. Low ids exist in every vocabulary.
    const prompt = Array.from({ length: sizes.promptTokens }, (_, i) => 10 + (i % 97));
    await mesh.complete(prompt.slice(0, 8), 8);
    const prefillMs: number[] = [];
    const tokenMs: number[] = [];
    for (let i = 0; i < sizes.repeats; i++) {
      prefillMs.push((await mesh.complete(prompt, 1)).firstMs);
      const { firstMs, lastMs } = await mesh.complete(prompt.slice(0, 8), sizes.decodeTokens);
      tokenMs.push((lastMs - firstMs) / (sizes.decodeTokens - 1));
    }
    // The workers report once an interval.
    await delay(2 * STATS_INTERVAL_MS);
    const stages = await mesh.stages();
    const sum = (pick: (hop: NonNullable<(typeof stages)[number]['hop']>) => number): number =>
      stages.reduce((total, { hop }) => total + (hop === null ? 0 : pick(hop)), 0);
    const msPerToken = median(tokenMs);
    return {
      workers: stages.length,
      layers: stages.map(({ layers }) => (layers === null ? '' : `${layers[0]}–${layers[1] - 1}`)),
      adapter: stages[0]?.adapter?.description || stages[0]?.adapter?.vendor || 'unknown',
      isFallback: stages.some(({ adapter }) => adapter?.isFallback ?? false),
      loadMs: mesh.loadMs,
      downloadedBytes: stages.reduce((total, { downloadedBytes }) => total + downloadedBytes, 0),
      prefillTokensPerSecond: (sizes.promptTokens * 1_000) / median(prefillMs),
      decodeTokensPerSecond: 1_000 / msPerToken,
      msPerToken,
      perToken: {
        uploadMs: sum((hop) => hop.uploadMs),
        computeMs: sum((hop) => hop.computeMs),
        readbackMs: sum((hop) => hop.readbackMs),
        packMs: sum((hop) => hop.packMs),
        wireMs: sum((hop) => hop.wireRttMs / 2),
        unpackMs: sum((hop) => hop.unpackMs),
      },
      // A pipeline of one stage sends to itself: nothing reaches a wire.
      wireBytesPerToken: stages.length === 1 ? 0 : sum((hop) => hop.bytesPerToken),
    };
  } finally {
    await mesh.close();
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
