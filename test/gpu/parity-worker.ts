/** The parity table inside a Web Worker, as the page's engine runs. Posts one line a case, then `done`. */
import { requestDevice } from '../../src/gpu/device.ts';
import { fetchShaders } from '../../src/gpu/shaders.ts';
import { KernelBench } from './kernel-bench.ts';
import { PARITY_CASES } from './parity-cases.ts';

export interface ParityLine {
  readonly name: string;
  readonly tolerance: number;
  /** Infinity does not survive JSON; it is null. */
  readonly error: number | null;
}
export type ParityReport =
  | { readonly adapter: string; readonly lines: readonly ParityLine[]; readonly liveBuffers: number }
  | { readonly failure: string };

async function run(): Promise<ParityReport> {
  const device = await requestDevice(navigator.gpu);
  const shaders = await fetchShaders(new URL('/', location.href), (url, init) => fetch(url, init));
  const lines: ParityLine[] = [];
  for (const { name, tolerance, run: measure } of PARITY_CASES) {
    const bench = new KernelBench(device, shaders);
    const error = await measure(bench);
    bench.destroy();
    lines.push({ name, tolerance, error: Number.isFinite(error) ? error : null });
  }
  const { liveBuffers, adapter } = device;
  device.destroy();
  return { adapter: `${adapter.vendor} ${adapter.architecture}`, lines, liveBuffers };
}

run().then(
  (report) => self.postMessage(report),
  (thrown: unknown) => self.postMessage({ failure: String(thrown) } satisfies ParityReport),
);
