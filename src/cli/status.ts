import { ShoalError } from '../config/errors.ts';
import { UPSTREAM_PROBE_MS } from '../config/limits.ts';
import { coverage, type HeldLayers, heldLayers, replicas } from '../mesh/protocol/layers-held.ts';
import { recoveryText } from '../mesh/protocol/loss-text.ts';
import { readinessText } from '../mesh/protocol/readiness-text.ts';
import { stageMs } from '../mesh/protocol/stage-ms.ts';
import type { SpareReason, Status, WorkerStatus } from '../mesh/protocol/status.ts';
import { workerCount } from '../mesh/protocol/worker-counts.ts';
import { type ApiClient, fetchStatus } from './api-client.ts';
import { lacksMesh } from './mesh-is-up.ts';
import { printable } from './printable.ts';
import type { StatusFlags } from './program.ts';
import { fetchWith } from './server-trust.ts';
import { speedText } from './speed-text.ts';
import { textTable } from './text-table.ts';

/** `shoal status`: what a server serves and with whom. @throws BACKEND_FAILED where there is none */
export async function status(
  { server, json, ...trust }: StatusFlags,
  signal: AbortSignal,
  client: ApiClient = { baseUrl: server, fetch: fetchWith(server, trust) },
  write = (text: string) => void process.stdout.write(text),
): Promise<void> {
  const found = await statusInTime(client, signal);
  const { isTTY, columns } = process.stdout;
  write(
    json ? `${JSON.stringify(found, null, 2)}\n` : statusText(server, found, isTTY ? columns : undefined),
  );
}

/** @throws BACKEND_FAILED also where the server says nothing */
export async function statusInTime(
  client: ApiClient,
  signal: AbortSignal,
  deadline: AbortSignal = AbortSignal.timeout(2 * UPSTREAM_PROBE_MS),
): Promise<Status> {
  try {
    return await fetchStatus(client, AbortSignal.any([signal, deadline]));
  } catch (error) {
    if (signal.aborted || !deadline.aborted) throw error;
    throw new ShoalError(
      'BACKEND_FAILED',
      `${client.baseUrl} took the connection and has said nothing for ${(2 * UPSTREAM_PROBE_MS) / 1_000} s; is it a Shoal server?`,
      { cause: error },
    );
  }
}

/** @param columns of the terminal; without it lines are as long as they are */
export function statusText(server: string, found: Status, columns = Number.POSITIVE_INFINITY): string {
  const { provider, ready, model, pipeline, requestsInFlight, workers, nodes } = found;
  const lost = recoveryText(found);
  const unnamed = workerCount(found) - workers.length;
  const head = textTable([
    ...(model === null
      ? []
      : [
          [
            'model',
            `${model.id}: ${model.layers} layer${model.layers === 1 ? '' : 's'}, context ${model.contextLength}`,
          ],
        ]),
    ...(pipeline === null
      ? []
      : wrapped(
          'route',
          pipeline.stages.map(({ name, shard }) => `${name} ${range(shard)}`),
          columns - HEAD_INDENT,
        )),
    ...speedRow(found),
    ['requests', `${requestsInFlight} in flight`],
  ]);
  const section = sectionOf(columns);
  return [
    `${ready && !lacksMesh(found) ? '✓' : '!'} ${server} (${provider}): ${printable(readinessText(found))}`,
    ...(lost === null ? [] : [`! ${printable(lost)}`]),
    ...section([], head),
    ...section(ROUTE_TITLES, routeRows(found.routes ?? [], columns - ROUTE_INDENT)),
    ...section(LAYER_TITLES, model === null ? [] : layerRows(found, model.layers)),
    ...section(WORKER_TITLES, workers.map(workerCells)),
    ...(unnamed > 0 ? [`${INDENT}and ${unnamed} more workers`] : []),
    ...section(NODE_TITLES, nodes.map(nodeCells)),
    ...[
      ...workers.map((w) => [w.name, w.problem] as const),
      ...nodes.map((n) => [n.name, n.lastError] as const),
    ]
      .filter(([, problem]) => problem !== null)
      .map(([name, problem], index) => `${index === 0 ? '\n' : ''}! ${printable(`${name}: ${problem}`)}`),
    '',
  ].join('\n');
}

const INDENT = '  ';

/** A table below its titles, after an empty line; what does not fit the terminal's width is cut. */
function sectionOf(columns: number) {
  return (titles: readonly string[], rows: readonly (readonly string[])[] | readonly string[]): string[] => {
    if (rows.length === 0) return [];
    const lines =
      titles.length === 0
        ? (rows as readonly string[])
        : textTable([titles, ...(rows as readonly string[][])]);
    return ['', ...lines.map((line) => cut(`${INDENT}${line}`, columns))];
  };
}

const cut = (line: string, columns: number) =>
  line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;

/** Where what a table says begins, after the column before it. */
const HEAD_INDENT = INDENT.length + 'requests'.length + 2;
const ROUTE_INDENT = INDENT.length + 'answers'.length + 2;

/** Stages of a route, as rows of two cells: a line ends before a stage that is beyond `width`. */
function wrapped(title: string, stages: readonly string[], width: number): string[][] {
  const lines: string[] = [];
  for (const stage of stages) {
    const line = lines.at(-1);
    const longer = line === undefined ? stage : `${line} → ${stage}`;
    if (line !== undefined && longer.length > width) lines.push(`→ ${stage}`);
    else lines[Math.max(0, lines.length - 1)] = longer;
  }
  return lines.map((line, index) => [index === 0 ? title : '', line]);
}

const ROUTE_TITLES = ['answers', 'route'];
const SHOWN_ROUTES = 8;

/** Routes that answers run on, the busiest first. */
function routeRows(routes: NonNullable<Status['routes']>, width: number): string[][] {
  const rows = routes.slice(0, SHOWN_ROUTES).flatMap(({ stages, sequences }) =>
    wrapped(
      String(sequences),
      stages.map((stage) => `${stage.name} ${range(stage)}`),
      width,
    ),
  );
  const more = routes.length - SHOWN_ROUTES;
  return more > 0 ? [...rows, ['', `and ${more} more routes`]] : rows;
}

/** What the route that serves should give a request alone, and what it has given. */
function speedRow({ predicted, measured }: Status): string[][] {
  if (predicted == null) return [];
  const had = measured == null ? '' : `; measured ${speedText(measured)}`;
  return [['speed', `expected ${speedText(predicted)}${had}`]];
}

const LAYER_TITLES = ['layers', 'held', 'by'];

const HELD_STATE: Record<HeldLayers['state'], string> = {
  held: '',
  loading: 'loads',
  retiring: 'going',
  away: 'away',
};

/** Who holds which layers, replicas too. */
function layerRows(found: Status, layers: number): string[][] {
  const held = heldLayers(found);
  if (held.length === 0) return [];
  return coverage(held, layers, found.replicas).map((part) => [
    range(part),
    `${replicas(part)}×`,
    part.by.length === 0 ? 'nobody' : few(part.by.map(holderText), SHOWN_HOLDERS),
  ]);
}

function holderText({ name, state, sequences }: HeldLayers): string {
  const notes = [HELD_STATE[state], sequences > 0 && `${sequences} running`].filter(Boolean);
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}

/** The longest text last: it is the one that a narrow terminal cuts. */
const WORKER_TITLES = ['worker', 'state', 'layers', 'tokens/s', 'loaded', 'step', 'link', 'adapter'];

/** Why a worker without layers has none, in the width of a column. */
const WHY_SPARE: Record<SpareReason['why'], string> = {
  placing: 'gets layers',
  expecting: 'waits for others',
  missing: 'memory is missing',
  later: 'looked at next',
  'answers-first': 'after the answers',
  full: 'spare',
  'no-gain': 'spare',
  slow: 'spare: too slow',
  replicated: 'spare: enough hold it',
  'small-memory': 'spare: lends too little',
  'small-buffers': 'spare: small buffers',
  'left-out': 'left out for a while',
};

function workerCells({
  name,
  state,
  spare,
  layers,
  adapter,
  tokensPerSecond,
  downloadedBytes,
  hop,
}: WorkerStatus): string[] {
  return [
    name,
    spare ? WHY_SPARE[spare.why] : state,
    layers === null ? '–' : range({ start: layers[0], end: layers[1] }),
    tokensPerSecond.toFixed(1),
    megabytes(downloadedBytes),
    hop === null ? '–' : `${stageMs(hop).toFixed(1)} ms`,
    hop === null ? '–' : `${hop.wireRttMs.toFixed(1)} ms`,
    adapter === null ? '–' : adapterName(adapter),
  ];
}

const NODE_TITLES = ['node', 'provider', 'state', 'in flight', 'first token', 'tokens/s', 'models'];

function nodeCells(node: Status['nodes'][number]): string[] {
  const { name, provider, state, inFlight, maxConcurrent, timeToFirstTokenMs, tokensPerSecond, models } =
    node;
  return [
    name,
    provider,
    state,
    `${inFlight} of ${maxConcurrent}`,
    timeToFirstTokenMs === null ? '–' : `${timeToFirstTokenMs.toFixed(0)} ms`,
    tokensPerSecond === null ? '–' : tokensPerSecond.toFixed(1),
    few(models, SHOWN_MODELS),
  ];
}

type Adapter = NonNullable<WorkerStatus['adapter']>;

function adapterName({ vendor, architecture, description, isFallback }: Adapter): string {
  const name = description || `${vendor} ${architecture}`.trim() || 'unnamed';
  return isFallback ? `${name} (software)` : name;
}

/** Layers [start, end) as people count them off: `0–3` holds 0, 1, 2 and 3. */
function range({ start, end }: { readonly start: number; readonly end: number }): string {
  return end - start === 1 ? `${start}` : `${start}–${end - 1}`;
}

const SHOWN_MODELS = 3;
const SHOWN_HOLDERS = 6;
const few = (names: readonly string[], most: number) =>
  names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
