import type { FxnConfig, NodeConfig, ProxyConfig } from '../config/backend-config.ts';
import { DEFAULT_MODEL_ID } from '../config/catalogue.ts';
import type { MeshSettings } from '../config/mesh-fields.ts';
import { openModel } from './open-model.ts';
import { readConfigFile } from './read-config.ts';
import { textTable } from './text-table.ts';

/**
 * `shoal config check FILE`: what a server with this file would run, or all that is wrong with it. Prints no secret.
 * @throws CONFIG_INVALID, MODEL_NOT_FOUND: what `serve` would refuse
 */
export async function configCheck(
  file: string,
  write = (text: string) => void process.stdout.write(text),
): Promise<void> {
  const { config, warnings } = await readConfigFile(file);
  const rows = config.provider === 'fxn' ? await fxnRows(config) : proxyRows(config);
  write(`${file}: backend_provider ${config.provider}\n\n`);
  const width = Math.max(...rows.map(([title]) => title.length));
  for (const [title, text] of rows) write(`  ${title.padEnd(width)}  ${text}\n`);
  write('\n');
  for (const warning of warnings) write(`! ${warning}\n`);
  write(warnings.length === 0 ? '✓ no fault\n' : `✓ no fault, ${plural(warnings.length, 'warning')}\n`);
}

type Row = readonly [title: string, text: string];

async function fxnRows({ fxnId = DEFAULT_MODEL_ID, ...mesh }: FxnConfig): Promise<Row[]> {
  const { model, quantization } = await openModel(fxnId);
  const { layers, contextLength } = model.spec;
  return [
    ['model', model.model],
    ['files', model.path],
    ['weights', quantization === 'native' ? `native (${model.dtype})` : quantization],
    ['layers', `${layers}, to be shared by the workers that join`],
    ['context', `${contextLength} tokens`],
    ...meshRows(mesh),
  ];
}

/** What the file says of the mesh; the rest is as the command line has it. */
function meshRows(mesh: MeshSettings): Row[] {
  const { minStages, maxStages, solo, replicas, joinKey, turnUrls, state } = mesh;
  const stages = [
    ...(solo === true ? ['the whole model on each worker'] : []),
    ...(minStages === undefined ? [] : [`at least ${minStages}`]),
    ...(maxStages === undefined ? [] : [`at most ${maxStages}`]),
  ];
  return [
    ...(stages.length === 0 ? [] : [['stages', stages.join(', ')] as const]),
    ...(replicas === undefined
      ? []
      : [['replicas', `${replicas} of each layer, where memory allows`] as const]),
    ...(joinKey === undefined ? [] : [['workers', 'are asked for the join key'] as const]),
    ...(turnUrls === undefined ? [] : [['relays', turnUrls.join(', ')] as const]),
    ...(state === undefined ? [] : [['answers', `are kept in ${state}`] as const]),
  ];
}

function proxyRows({ fxnId, nodes, allowAddresses, timeouts }: ProxyConfig): Row[] {
  const alias = nodes.some(({ modelNameAlias }) => modelNameAlias !== undefined);
  return [
    [
      'clients say',
      alias
        ? (fxnId ?? 'any name: the alias goes to the backend')
        : 'the name that the backend has for its model',
    ],
    ...titled(nodes.length === 1 ? 'node' : `${nodes.length} nodes`, textTable(nodes.map(nodeCells))),
    ['addresses', ['this machine where a url says so, public ones', ...allowAddresses].join(', ')],
    [
      'time limits',
      `connect ${seconds(timeouts.connect)}, first byte ${seconds(timeouts.firstByte)}, silence ${seconds(timeouts.idle)}`,
    ],
  ];
}

function nodeCells({ url, apiKey, bearerToken, modelNameAlias, maxConcurrent }: NodeConfig): string[] {
  const keys = [
    ...(apiKey === undefined ? [] : [`api_key ${apiKey}`]),
    ...(bearerToken === undefined ? [] : [`bearer_token ${bearerToken}`]),
  ];
  return [
    url,
    modelNameAlias === undefined ? '' : `hears ${modelNameAlias}`,
    keys.length === 0 ? 'no key' : keys.join(', '),
    `${maxConcurrent} requests at once`,
  ];
}

const titled = (title: string, lines: readonly string[]): Row[] =>
  lines.map((line, index) => [index === 0 ? title : '', line]);
const seconds = (ms: number) => `${ms / 1_000} s`;
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
