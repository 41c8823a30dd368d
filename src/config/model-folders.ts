/** Where models lie on this machine. For Node only. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { HubSource } from './catalogue-file.ts';

const cacheHome = (env: NodeJS.ProcessEnv) => env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** `SHOAL_HOME/models`, or ~/.cache/shoal/models. */
export const modelsFolder = (env: NodeJS.ProcessEnv): string =>
  join(env.SHOAL_HOME || join(cacheHome(env), 'shoal'), 'models');

/** Beside a pulled model's files: what they are. */
export const PULLED_FILE = 'shoal-pull.json';

export interface Pulled {
  readonly repo: string;
  readonly revision: string;
  readonly commit: string;
}

/** What `shoal pull` left in the directory, or null when it holds no pulled model. */
export function readPulled(directory: string): Pulled | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, PULLED_FILE), 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { repo, revision, commit } = value as Partial<Pulled>;
    const isWhole = typeof repo === 'string' && typeof revision === 'string' && typeof commit === 'string';
    return isWhole ? { repo, revision, commit } : null;
  } catch {
    return null;
  }
}

/** A model that other tools fetched: `<cache>/models--org--repo/snapshots/<commit>`, with branches in `refs`. Null when it is not there, or not whole. */
export function inHubCache({ repo, revision }: HubSource, env: NodeJS.ProcessEnv): string | null {
  const hub = env.HF_HUB_CACHE || join(env.HF_HOME || join(cacheHome(env), 'huggingface'), 'hub');
  const folder = join(hub, `models--${repo.replaceAll('/', '--')}`);
  const commit = readCommit(join(folder, 'refs', revision)) ?? revision;
  const snapshot = join(folder, 'snapshots', commit);
  return isWholeModel(snapshot) ? snapshot : null;
}

function readCommit(file: string): string | null {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return /^[0-9a-f]{40}$/.test(text) ? text : null;
  } catch {
    return null;
  }
}

/** A snapshot may hold only the files that someone asked for. */
function isWholeModel(directory: string): boolean {
  const has = (name: string) => statSync(join(directory, name), { throwIfNoEntry: false })?.isFile() ?? false;
  return (
    has('config.json') &&
    has('tokenizer.json') &&
    (has('model.safetensors') || has('model.safetensors.index.json'))
  );
}
