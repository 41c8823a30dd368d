/** `npm run bench [-- --json --workers 1,2,3]`: what the mesh does on this machine, every figure measured in this run. */
import { cpus, release, type } from 'node:os';
import { Command, Option } from 'commander';
import { resolveModel } from '../src/config/catalogue.ts';
import { openModelDirectory } from '../src/model/directory.ts';
import { defaultWire } from '../src/server/default-wire.ts';
import { type MeshResult, measureMesh } from './measure-mesh.ts';
import { measureStart } from './measure-start.ts';
import { measureWire } from './measure-wire.ts';
import { type BenchReport, markdown } from './report.ts';

interface Flags {
  readonly json?: boolean;
  readonly workers: string;
  readonly model: string;
  readonly wire: 'auto' | 'f16' | 'f32';
  readonly quantization: 'native' | 'q8' | 'q4';
  readonly promptTokens: string;
  readonly tokens: string;
  readonly repeats: string;
  readonly start: boolean;
  readonly wireQuality: boolean;
}

const flags = new Command('bench')
  .option('--json', 'one JSON object instead of tables')
  .option('--workers <list>', 'pipelines to measure', '1,2,3')
  .option('--model <model>', 'catalogue id or directory', 'minnow')
  .addOption(new Option('--wire <dtype>').choices(['auto', 'f16', 'f32']).default('auto'))
  .addOption(new Option('--quantization <kind>').choices(['native', 'q8', 'q4']).default('native'))
  .option('--prompt-tokens <n>', 'prompt of the prefill measurement', '256')
  .option('--tokens <n>', 'tokens of the decode measurement', '96')
  .option('--repeats <n>', 'medians are over so many runs', '3')
  .option('--no-start', 'leave out the warm npm start')
  .option('--no-wire-quality', 'leave out the comparison of f16 and f32 wires')
  .parse()
  .opts<Flags>();

const note = (text: string) => process.stderr.write(`${text}\n`);
const { directory, id } = resolveModel(flags.model);
const { spec } = await openModelDirectory(directory);
const wire = flags.wire === 'auto' ? defaultWire(spec.hidden) : flags.wire;
const { quantization } = flags;
const sizes = {
  promptTokens: Number(flags.promptTokens),
  decodeTokens: Number(flags.tokens),
  repeats: Number(flags.repeats),
};
const meshes: MeshResult[] = [];
for (const workers of flags.workers.split(',').map(Number)) {
  note(`measuring ${workers} tab${workers === 1 ? '' : 's'} …`);
  meshes.push(await measureMesh({ workers, modelDirectory: directory, wire, quantization }, sizes));
}
let wireQuality: BenchReport['wireQuality'] = null;
if (flags.wireQuality) {
  note('comparing f16 and f32 wires …');
  wireQuality = await measureWire({ workers: 2, modelDirectory: directory, quantization }, 200);
}
let start: BenchReport['start'] = null;
if (flags.start) {
  note('measuring a warm npm start …');
  start = { workers: 3, ...(await measureStart(3)) };
}
const report: BenchReport = {
  date: new Date().toISOString().slice(0, 10),
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    os: `${type()} ${release()}`,
  },
  model: id,
  wire,
  quantization,
  promptTokens: sizes.promptTokens,
  decodeTokens: sizes.decodeTokens,
  meshes,
  wireQuality,
  start,
};
process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : markdown(report));
