/** What an Ollama has: its models, under each of their names, and what they can. */
import type { z } from 'zod';
import { MAX_UPSTREAM_EVENT_BYTES, UPSTREAM_PROBE_MS } from '../../config/limits.ts';
import type { ModelInfo } from '../backend.ts';
import type { Upstream } from '../proxy/upstream.ts';
import { parseJson } from '../proxy/upstream-error.ts';
import { showSchema, tagsSchema, versionSchema } from './api.ts';
import type { DescribedModels } from './described.ts';
import { type Asked, pullCommand, refusedBy } from './errors.ts';

const LATEST = ':latest';

/** Ollama's names are without case, and without a tag they mean `latest`. */
export function sameModel(a: string, b: string): boolean {
  return fullName(a) === fullName(b);
}

function fullName(name: string): string {
  const plain = name.toLowerCase();
  return plain.slice(plain.lastIndexOf('/') + 1).includes(':') ? plain : `${plain}${LATEST}`;
}

/**
 * All that was pulled. A model of the tag `latest` is listed under its short name too, because that is what people ask
 * Ollama for, and a list is what requests are routed by.
 *
 * @throws BACKEND_FAILED, DEADLINE_EXCEEDED, ABORTED
 */
export async function listModels(
  upstream: Upstream,
  described: DescribedModels,
  signal: AbortSignal,
): Promise<ModelInfo[]> {
  const { models } = await ask(upstream, '/api/tags', undefined, tagsSchema, signal);
  await described.describe(models);
  return models.flatMap((model) => {
    const { name, modified_at: modified } = model;
    const details = described.details(model);
    const created = Math.floor(Date.parse(modified ?? '') / 1000) || 0;
    // As Ollama's own /v1/models: who publishes it, `library` for Ollama itself.
    const ownedBy = name.split('/').at(-2) ?? 'library';
    const listed = (id: string) => ({ id, created, ownedBy, ...(details && { details }) });
    return name.endsWith(LATEST) ? [listed(name), listed(name.slice(0, -LATEST.length))] : [listed(name)];
  });
}

/** What is missing before requests can be answered, and how to get it; undefined: nothing. */
export function pullHint(names: readonly string[], alias: string | undefined): string | undefined {
  if (alias !== undefined && !names.some((name) => sameModel(name, alias)))
    return `has no model "${alias}"; ${pullCommand(alias)}`;
  return names.length === 0 ? `has no model yet; ${pullCommand('llama3.2')}, or another one` : undefined;
}

/** @throws BACKEND_FAILED, DEADLINE_EXCEEDED, ABORTED */
export async function askVersion(upstream: Upstream, signal: AbortSignal): Promise<string> {
  return (await ask(upstream, '/api/version', undefined, versionSchema, signal)).version;
}

/** @throws MODEL_NOT_FOUND, BACKEND_FAILED, DEADLINE_EXCEEDED, ABORTED */
export async function showModel(upstream: Upstream, name: string, signal: AbortSignal) {
  return ask(upstream, '/api/show', { ...NOTHING_ASKED, theirs: name }, showSchema, signal);
}

/**
 * Whether a model reads pictures: one that does not would answer as if there were none.
 *
 * @returns true also where Ollama is too old to say
 * @throws MODEL_NOT_FOUND, BACKEND_FAILED, DEADLINE_EXCEEDED, ABORTED
 */
export async function canSee(upstream: Upstream, asked: Asked, signal: AbortSignal): Promise<boolean> {
  const { capabilities } = await ask(upstream, '/api/show', asked, showSchema, signal);
  return capabilities?.includes('vision') ?? true;
}

const NOTHING_ASKED: Asked = { ours: '', theirs: '', thinkParameter: 'model', textParameter: 'messages' };

async function ask<T>(
  upstream: Upstream,
  path: string,
  asked: Asked | undefined,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const answer = await upstream.request(
    {
      path,
      accept: 'application/json',
      deadlineMs: UPSTREAM_PROBE_MS,
      ...(asked !== undefined && { body: JSON.stringify({ model: asked.theirs }) }),
    },
    signal,
  );
  if (!answer.response.ok) throw await refusedBy(upstream, answer, asked ?? NOTHING_ASKED);
  const text = upstream.redact((await answer.text(MAX_UPSTREAM_EVENT_BYTES)) ?? '');
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw upstream.failed(`sent no ${path} of Ollama’s; check that url in model_backend.yaml is an Ollama`);
}
