import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { step } from '../../scripts/progress.mjs';
import { bytesText } from '../config/bytes-text.ts';
import { type Catalogue, catalogueEntry, loadCatalogue, resolveModel } from '../config/catalogue.ts';
import { ShoalError } from '../config/errors.ts';
import { modelsFolder } from '../config/model-folders.ts';
import { Secret } from '../config/secret.ts';
import { HubClient } from '../model/fetch/hub-client.ts';
import { pullModel } from '../model/fetch/pull-model.ts';
import { textTable } from './text-table.ts';

const HUB = 'https://huggingface.co';

export interface PullCommandOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly fetch: typeof fetch;
  readonly write: (text: string) => void;
}

/** `shoal pull`: the catalogue, and what of it is on this machine. */
export function listModels(
  catalogue: Catalogue = loadCatalogue(),
  write = (text: string) => void process.stdout.write(text),
): void {
  const rows = catalogue.entries.map((entry) => {
    const { id, name, description, license, gated, gigabytes } = entry;
    const directory = whereIs(id, catalogue);
    const size =
      directory !== null
        ? bytesText(bytesIn(directory))
        : gigabytes === undefined
          ? ''
          : `${gigabytes.toFixed(1)} GB`;
    const terms = `${license ?? 'no license named'}${gated ? ', gated' : ''}`;
    return [directory === null ? ' ' : '✓', id, size.padStart(8), `${name}: ${description} (${terms})`];
  });
  for (const line of textTable(rows)) write(`${line}\n`);
  write('✓ is on this machine; the others: shoal pull <id>\n');
}

/** Null for a model that is not on this machine. */
function whereIs(id: string, catalogue: Catalogue): string | null {
  try {
    return resolveModel(id, catalogue).directory;
  } catch (error) {
    if (ShoalError.from(error).code === 'MODEL_NOT_FOUND') return null;
    throw error;
  }
}

const bytesIn = (directory: string): number =>
  readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

/**
 * `shoal pull ID`: the files of a catalogue model, into SHOAL_HOME/models/ID. HF_ENDPOINT names a mirror, HF_TOKEN opens gated ones.
 * @throws MODEL_NOT_FOUND, and what `pullModel` throws
 */
export async function pull(
  id: string,
  signal: AbortSignal,
  { env, fetch, write }: PullCommandOptions = {
    env: process.env,
    fetch: globalThis.fetch,
    write: (text) => void process.stdout.write(text),
  },
): Promise<void> {
  const { source, gated } = catalogueEntry(id, loadCatalogue(env));
  if (source.kind === 'path') {
    write(`${id} comes with Shoal; there is nothing to fetch\n`);
    return;
  }
  const directory = join(modelsFolder(env), id);
  const hub = new HubClient({
    endpoint: endpointOf(env),
    ...(env.HF_TOKEN && { token: new Secret(env.HF_TOKEN.trim()) }),
    fetch,
  });
  if (gated && !env.HF_TOKEN) {
    process.stderr.write(`${source.repo} is gated: its owner wants an agreement, and HF_TOKEN is not set\n`);
  }
  const { commit, isNew } = await pullModel({
    hub,
    source,
    directory,
    signal,
    onFile: (name, bytes, work) =>
      step(`${name}, ${bytesText(bytes)}`, (show) =>
        work((here) => show(`${Math.floor((100 * here) / Math.max(1, bytes))} %`)),
      ),
  });
  const at = commit === source.revision ? commit : `${source.revision} (${commit})`;
  write(`${id}: ${source.repo} at ${at} ${isNew ? 'is in' : 'was already in'} ${directory}\n`);
  if (isNew) write(`serve it with: shoal serve --model ${id}\n`);
}

function endpointOf({ HF_ENDPOINT }: NodeJS.ProcessEnv): string {
  if (!HF_ENDPOINT) return HUB;
  const url = URL.canParse(HF_ENDPOINT) ? new URL(HF_ENDPOINT) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new ShoalError(
      'CONFIG_INVALID',
      'HF_ENDPOINT must be an http:// or https:// address without a user name',
    );
  }
  return url.href.replace(/\/+$/, '');
}
