import type { MeshResult } from './measure-mesh.ts';
import type { WireResult } from './measure-wire.ts';

export interface BenchReport {
  readonly date: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly os: string;
  };
  readonly model: string;
  readonly wire: string;
  readonly quantization: string;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly meshes: readonly MeshResult[];
  readonly wireQuality: WireResult | null;
  readonly start: { readonly workers: number; readonly seconds: number; readonly answer: string } | null;
}

/** The report as Markdown, as it stands in bench/RESULTS.md. */
export function markdown(report: BenchReport): string {
  const { machine, meshes } = report;
  const first = meshes[0];
  const lines = [
    `${report.date}, ${machine.cpu} (${machine.cores} cores), ${machine.os}, Node ${machine.node}; adapter ${first?.adapter}` +
      `${first?.isFallback ? ' (software)' : ''}; ${report.model}, weights ${report.quantization}, wire ${report.wire}; ` +
      `prompt ${report.promptTokens}, answer ${report.decodeTokens} tokens; all tabs share this one machine.`,
    '',
    table(
      [
        'K',
        'layers',
        'load s',
        'downloaded',
        'prefill tok/s',
        'decode tok/s',
        'ms/token',
        'vs K=1',
        'wire B/token',
      ],
      meshes.map((mesh) => [
        String(mesh.workers),
        mesh.layers.join(' · '),
        (mesh.loadMs / 1_000).toFixed(1),
        `${(mesh.downloadedBytes / 1e6).toFixed(1)} MB`,
        mesh.prefillTokensPerSecond.toFixed(0),
        mesh.decodeTokensPerSecond.toFixed(1),
        mesh.msPerToken.toFixed(2),
        first === undefined
          ? ''
          : `${(mesh.decodeTokensPerSecond / first.decodeTokensPerSecond).toFixed(2)}×`,
        mesh.wireBytesPerToken.toFixed(0),
      ]),
    ),
    '',
    'Milliseconds of one token, summed over the stages. A token of K stages makes K hops, one of them back to the first stage:',
    '*by its parts* is all but compute over K; *by the clock* is what a token takes longer than with K = 1, over K.',
    '',
    table(
      [
        'K',
        'upload',
        'compute',
        'readback',
        'pack',
        'wire',
        'unpack',
        'sum',
        'unaccounted',
        'a hop by its parts',
        'a hop by the clock',
      ],
      meshes.map((mesh) => {
        const { uploadMs, computeMs, readbackMs, packMs, wireMs, unpackMs } = mesh.perToken;
        const hop = uploadMs + readbackMs + packMs + wireMs + unpackMs;
        return [
          String(mesh.workers),
          ...[uploadMs, computeMs, readbackMs, packMs, wireMs, unpackMs].map((ms) => ms.toFixed(2)),
          (hop + computeMs).toFixed(2),
          (mesh.msPerToken - hop - computeMs).toFixed(2),
          (hop / mesh.workers).toFixed(2),
          first === undefined || mesh === first
            ? '–'
            : ((mesh.msPerToken - first.msPerToken) / mesh.workers).toFixed(2),
        ];
      }),
    ),
  ];
  if (report.wireQuality !== null) {
    const { prompts, tokens, identical, meanCommonShare } = report.wireQuality;
    lines.push(
      '',
      `f16 wire against f32, greedy, ${prompts} prompts of ${tokens} tokens: ${identical} texts identical; ` +
        `on average ${(meanCommonShare * 100).toFixed(0)} % of a text comes before the first difference.`,
    );
  }
  if (report.start !== null) {
    const { workers, seconds, answer } = report.start;
    lines.push(
      '',
      `Warm \`npm start\` to the first answer, ${workers} tabs: **${seconds.toFixed(1)} s** (“${answer}”).`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join(' | ')} |`;
  return [
    line(head),
    `|${widths.map((width) => `${'-'.repeat(width + 1)}:`).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}
